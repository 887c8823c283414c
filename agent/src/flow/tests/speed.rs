//! How long an exchange takes on this path. Run in release: `cargo test --release -p apiarist --lib speed -- --ignored --nocapture`.

use super::kit::*;

#[test]
#[ignore = "a measurement, not a check"]
fn nanoseconds_per_exchange() {
    let request = b"GET /api/v1/users/42?expand=profile HTTP/1.1\r\nHost: api.example.test\r\nUser-Agent: curl/8.5.0\r\n\
        Accept: application/json\r\nAuthorization: Bearer abcdef0123456789\r\nAccept-Encoding: gzip, deflate\r\n\r\n";
    let response = b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Tue, 01 Jan 2030 00:00:00 GMT\r\n\
        Content-Type: application/json\r\nContent-Length: 27\r\nConnection: keep-alive\r\n\r\n{\"id\":42,\"name\":\"Ann Other\"}";
    let response = &response[..response.len() - 1];
    let mut flows = flows();
    let mut wires: Vec<Wire> = (0..100)
        .map(|socket| {
            let mut wire = Wire::server();
            wire.socket = super::super::SocketId(socket);
            wire
        })
        .collect();
    let mut out = Vec::new();
    for wire in &wires {
        flows.event(&wire.open(0), &mut out);
    }
    for round in 0..5 {
        let mut count = 0;
        let start = crate::clock::monotonic_ns();
        for at in 0..2_000 {
            for wire in &mut wires {
                flows.event(&wire.data(at * MS, true, request), &mut out);
                flows.event(&wire.data(at * MS + 1, false, response), &mut out);
                count += out.len();
                out.clear();
            }
        }
        let spent = crate::clock::monotonic_ns() - start;
        println!("round {round}: {} ns per exchange", spent / count as u64);
        assert_eq!(count, 200_000);
    }
}
