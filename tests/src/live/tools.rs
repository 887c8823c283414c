//! Clients and servers as people use them, each with habits of its own.

use std::{fs, process::Command};

use anyhow::Result;

use super::{
    agent::Agent,
    place::{Place, fixture},
    program::{Program, command, output, renamed},
    rows::{row, sorted},
    servers::{accepts, free_port, nginx},
};

/// Uploads that wait for `100 Continue`, that come in chunks and with a length; answers without a body; old HTTP.
pub(super) fn curl_and_wget(place: &Place) -> Result<()> {
    let agent = Agent::start(place)?;
    let mut server = Program::start(
        command("python3")?.args([&fixture("orders_server.py"), &place.file("orders.sock")]),
        place,
    )?;
    let at = server.first_line()?;
    let port = at.split(' ').next().unwrap_or_default();
    let url = |path: &str| format!("http://127.0.0.1:{port}/{path}");
    let large = place.write("large", vec![b'z'; 3 << 20])?;
    let small = place.write("small", b"zz")?;
    let file = url("files/6f1c0c9e-3f0b-4c58-9a55-0a7a4d0c7d11");
    let curl =
        |arguments: &[&str]| output("curl", &[&["-sS", "--max-time", "20"], arguments].concat(), place);

    // One connection, several requests.
    curl(&[
        &url("users/[1-4]/orders/9"),
        &url("reports/1"),
        &url("reports/1000000"),
    ])?;
    curl(&["--http1.0", &url("users/5/orders/9")])?;
    curl(&["-I", &url("reports/1000000")])?;
    curl(&["-T", &large, "-H", "Expect: 100-continue", &file])?;
    curl(&["-T", &large, "-H", "Transfer-Encoding: chunked", &file])?;
    curl(&["-T", &small, &file])?;
    curl(&[
        "-d",
        "a=1",
        "--unix-socket",
        &place.file("orders.sock"),
        "http://shop.test/users/1/orders",
    ])?;
    curl(&["-X", "DELETE", &url("locks/3")])?;
    for size in ["0", "4096", "1000000"] {
        output(
            "wget",
            &["-q", "-O", &place.file("got"), &url(&format!("streams/{size}"))],
            place,
        )?;
    }
    let curl = |method, template, class, count| row(method, template, class, count, "curl");
    agent.expect(
        "orders_server.py",
        &sorted(vec![
            curl("GET", "/users/{userId}/orders/{orderId}", "2xx", 5),
            curl("GET", "/reports/{reportId}", "2xx", 2),
            curl("HEAD", "/reports/{reportId}", "2xx", 1),
            curl("PUT", "/files/{fileId}", "2xx", 3),
            curl("POST", "/users/{userId}/orders", "2xx", 1),
            curl("DELETE", "/locks/{lockId}", "4xx", 1),
            row("GET", "/streams/{streamId}", "2xx", 3, "wget"),
        ]),
    )
}

pub(super) fn php_serves(place: &Place) -> Result<()> {
    let port = free_port()?;
    let mut php = command("php")?;
    php.args(["-S", &format!("127.0.0.1:{port}"), &fixture("shop.php")]);
    let agent = Agent::start(place)?;
    let mut php = Program::start(&mut php, place)?;
    php.ready(|| accepts(port))?;
    let url = format!("http://127.0.0.1:{port}/carts/[1-20]");
    output("curl", &["-sS", &url], place)?;
    output("curl", &["-sS", "-d", "{\"item\": 5}", &url], place)?;
    agent.expect(
        "shop.php",
        &sorted(vec![
            row("GET", "/carts/{cartId}", "2xx", 20, "curl"),
            row("POST", "/carts/{cartId}", "2xx", 20, "curl"),
        ]),
    )
}

/// Each hop is listed with the one before it as its caller.
pub(super) fn two_hops_through_haproxy(place: &Place) -> Result<()> {
    let proxy = renamed("haproxy", "front-proxy", place)?;
    let (port, behind) = (free_port()?, free_port()?);
    fs::create_dir(place.path().join("temp"))?;
    let servers = format!(
        "server {{ listen 127.0.0.1:{behind}; location / {{ return 200 '{{\"total\": 12.5}}'; }} \
         location /teapots/ {{ return 418 'short and stout'; }} }}"
    );
    let configuration = place.write(
        "haproxy.cfg",
        format!(
            "global\n  maxconn 100\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\n\
             frontend front\n  bind 127.0.0.1:{port}\n  default_backend back\n\
             backend back\n  server one 127.0.0.1:{behind}\n"
        ),
    )?;
    let agent = Agent::start(place)?;
    let _server = nginx(place, "nginx-behind", behind, &servers)?;
    let mut proxy = Program::start(Command::new(proxy).args(["-db", "-f", &configuration]), place)?;
    proxy.ready(|| accepts(port))?;
    let at = format!("http://127.0.0.1:{port}");
    for _ in 0..5 {
        output(
            "curl",
            &[
                "-sS",
                &format!("{at}/users/[1-20]/orders/7"),
                &format!("{at}/teapots/1"),
            ],
            place,
        )?;
    }
    let expected = |caller| {
        sorted(vec![
            row("GET", "/users/{userId}/orders/{orderId}", "2xx", 100, caller),
            row("GET", "/teapots/{teapotId}", "4xx", 5, caller),
        ])
    };
    agent.shows("front-proxy", &expected("curl"))?;
    agent.expect("nginx-behind", &expected("front-proxy"))
}
