//! Tables of sockets as the kernel prints them (`/proc/<pid>/net/tcp`, `tcp6`; proc_pid_net(5)).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `TCP_LISTEN` (Linux, `include/net/tcp_states.h`).
const LISTEN: &str = "0A";

/// A row of such a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    pub(super) address: IpAddr,
    pub(super) port: u16,
    pub(super) inode: u64,
}

/// The sockets of a table that listen. Lines that are not understood are left out.
pub(super) fn listening(text: &str) -> impl Iterator<Item = Row> {
    text.lines().skip(1).filter_map(|line| {
        // sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
        let mut fields = line.split_ascii_whitespace().skip(1);
        let local = fields.next()?;
        let state = fields.nth(1)?;
        let inode = fields.nth(5)?.parse().ok()?;
        let (address, port) = local.split_once(':')?;
        (state == LISTEN).then_some(Row {
            address: parse(address)?,
            port: u16::from_str_radix(port, 16).ok()?,
            inode,
        })
    })
}

/// Words of 32 bits, each printed as a number of this machine.
fn parse(digits: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let number = u32::from_str_radix(digits.get(at * 8..at * 8 + 8)?, 16).ok()?;
        Some(number.to_ne_bytes())
    };
    match digits.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (at, four) in bytes.chunks_exact_mut(4).enumerate() {
                four.copy_from_slice(&word(at)?);
            }
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0000000000000000 100 0 0 10 0
   1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000000000000000 100 0 0 10 0
   2: 0100007F:1F90 0100007F:C001 01 00000000:00000000 00:00000000 00000000  1000        0 4713 1 0000000000000000 20 4 30 10 -1
   3: nonsense
";

    #[test]
    #[cfg(target_endian = "little")]
    fn only_what_listens_is_taken() {
        let rows: Vec<_> = listening(TABLE)
            .map(|row| (row.address.to_string(), row.port, row.inode))
            .collect();
        assert_eq!(
            rows,
            [
                ("127.0.0.1".to_owned(), 8080, 4711),
                ("0.0.0.0".to_owned(), 80, 4712)
            ]
        );
        let six = "h\n 0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 9 1\n";
        assert_eq!(listening(six).next().unwrap().address.to_string(), "::1");
    }

    #[test]
    fn nonsense_is_left_out() {
        for text in [
            "",
            "\n",
            "h\n\n",
            "h\n0: :: :: 0A a a a a a 1",
            "h\n0: zz:1 x 0A 0 0 0 0 0 1",
            "h\n0: 0100007F:FFFFF x 0A 0 0 0 0 0 1",
        ] {
            assert_eq!(listening(text).count(), 0, "{text}");
        }
    }
}
