//! URLs that lead a server to itself or to its cloud: the target half of a forged request.
//!
//! A URL of the web in a parameter is ordinary, and so is the address of a neighbour. What counts is the machine itself, the
//! metadata service, an address in disguise, and schemes that reach other services. That a call was made is seen
//! elsewhere, by what the process connects to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    Hit,
    class::Class,
    scan::Bits,
    text::{Source, Text, at, from, skip_while},
};

/// Names that lead to the machine itself.
const LOCAL: [&[u8]; 14] = [
    b"localhost4",
    b"localhost6",
    b"localhost4.localdomain4",
    b"localhost6.localdomain6",
    b"gateway.docker.internal",
    b"lvh.me",
    b"localhost",
    b"localhost.localdomain",
    b"ip6-localhost",
    b"host.docker.internal",
    b"host.containers.internal",
    b"localtest.me",
    b"kubernetes.default.svc",
    b"kubernetes.default",
];

/// Names of metadata services.
const METADATA: [&[u8]; 6] = [
    b"metadata.packet.net",
    b"metadata.google.internal",
    b"metadata",
    b"instance-data",
    b"metadata.tencentyun.com",
    b"metadata.azure.internal",
];

/// Schemes with which a fetching server speaks to other services.
const SCHEMES: [&[u8]; 14] = [
    b"gopher",
    b"dict",
    b"netdoc",
    b"tftp",
    b"imap",
    b"imaps",
    b"pop3",
    b"pop3s",
    b"smb",
    b"local_file",
    b"ldapi",
    b"jar",
    b"sftp",
    b"telnet",
];

/// URLs of one value that are judged. Overflow policy: the first so many.
const MAX_URLS: usize = 8;

/// A URL of that kind.
pub(super) fn detect(text: &Text<'_>) -> Option<Hit> {
    let hit = |class, confidence, why| Some(Hit::new(class, confidence, why));
    let bits = Bits::COLON.or(Bits::SLASH);
    if text.is_content() || text.source == Source::FreeHeader || !text.bits.any(bits) {
        return None;
    }
    let lower = text.lower;
    let returns = returns(text.name);
    for place in memchr::memmem::find_iter(lower, b"://").take(MAX_URLS) {
        let scheme = scheme_before(lower, place);
        if SCHEMES.contains(&scheme) && place + 3 < lower.len() {
            return hit(Class::Ssrf, 0.85, "a scheme that reaches other services");
        }
        let authority = authority(from(lower, place + 3));
        if let Some((confidence, why)) = target(authority)
            && !(returns && confidence < 0.9)
        {
            return hit(Class::Ssrf, confidence, why);
        }
        let upto = from(lower, place + 3);
        let upto = upto
            .get(..memchr::memchr(b'/', upto).unwrap_or(upto.len()))
            .unwrap_or_default();
        if misleads(authority) || authority.is_empty() && upto.starts_with(b"\\") || hides_host(upto) {
            return hit(Class::OpenRedirect, 0.7, "a URL whose host is in disguise");
        }
    }
    if lower.starts_with(b"jar:") || lower.starts_with(b"netdoc:") {
        return hit(Class::Ssrf, 0.85, "a scheme that reaches other services");
    }
    if let Some(rest) = lower.strip_prefix(b"http:").or(lower.strip_prefix(b"https:"))
        && !rest.starts_with(b"/")
        && let Some((confidence @ 0.9.., why)) = target(authority(rest))
    {
        return hit(Class::Ssrf, confidence, why);
    }
    let bare = authority(lower.trim_ascii());
    if bare.len() < lower.len() && LOCAL.contains(&host(bare)) && at(lower, bare.len()) == b'/' && !returns {
        return hit(Class::Ssrf, 0.6, "the machine itself");
    }
    redirects(text).and_then(|why| hit(Class::OpenRedirect, 0.65, why))
}

/// Whether a parameter of this name usually holds where a browser goes next: developers send theirs to `localhost`.
fn returns(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    [
        &b"redirect"[..],
        b"callback",
        b"return",
        b"origin",
        b"logout",
        b"homepage",
        b"website",
        b"site",
    ]
    .iter()
    .any(|known| memchr::memmem::find(&name, known).is_some())
}

fn scheme_before(lower: &[u8], colon: usize) -> &[u8] {
    let before = lower.get(..colon).unwrap_or_default();
    let length = before
        .iter()
        .rev()
        .take(16)
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(**byte, b'+' | b'.' | b'_' | b'-'))
        .count();
    from(before, before.len() - length)
}

/// Up to the path, query or fragment.
fn authority(bytes: &[u8]) -> &[u8] {
    let end = bytes
        .iter()
        .position(|byte| {
            matches!(
                byte,
                b'/' | b'?' | b'#' | b' ' | b'"' | b'\'' | b'<' | b'>' | b'\\'
            )
        })
        .unwrap_or(bytes.len());
    bytes.get(..end).unwrap_or_default()
}

/// Without user information and port.
fn host(authority: &[u8]) -> &[u8] {
    let host = match memchr::memrchr(b'@', authority) {
        Some(at) => from(authority, at + 1),
        None => authority,
    };
    if let Some(inside) = host.strip_prefix(b"[") {
        let end = memchr::memchr(b']', inside).unwrap_or(inside.len());
        return inside.get(..end).unwrap_or_default();
    }
    let end = memchr::memchr(b':', host).unwrap_or(host.len());
    let host = host.get(..end).unwrap_or_default();
    host.strip_suffix(b".").unwrap_or(host)
}

/// How sure it is that this leads to the machine or to its cloud.
fn target(authority: &[u8]) -> Option<(f32, &'static str)> {
    let host = host(authority);
    if METADATA.contains(&host) {
        return Some((0.95, "the metadata service of a cloud"));
    }
    if LOCAL.contains(&host) || host.ends_with(b".localhost") || host.ends_with(b".localtest.me") {
        return Some((0.75, "the machine itself"));
    }
    let embedded = [&b".nip.io"[..], b".xip.io", b".sslip.io"]
        .iter()
        .any(|suffix| host.ends_with(suffix));
    if embedded {
        return Some((0.9, "a name that stands for an address inside"));
    }
    if !host.is_ascii() {
        let digits: Vec<u8> = enclosed(host);
        return address(&digits).map(|_| (0.95, "an address in disguise"));
    }
    if memchr::memchr(b':', host).is_some()
        && str::from_utf8(host).is_ok_and(|text| text.parse::<IpAddr>().is_err())
    {
        return Some((0.8, "an address in disguise"));
    }
    let (address, plain) = address(host)?;
    let address = match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4),
        v4 => v4,
    };
    let metadata = match address {
        IpAddr::V4(v4) => {
            v4.is_link_local()
                || v4 == Ipv4Addr::new(100, 100, 100, 200)
                || v4 == Ipv4Addr::new(192, 0, 0, 192)
        }
        IpAddr::V6(v6) => {
            v6.is_unicast_link_local() || v6 == Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254)
        }
    };
    if metadata {
        return Some((0.95, "the metadata service of a cloud"));
    }
    if !plain {
        return Some((0.9, "an address in disguise"));
    }
    // Nothing but 2000::/3 and networks of one's own (fc00::/7) is routed.
    let reserved = matches!(address, IpAddr::V6(v6) if !matches!(v6.segments().first(), Some(0x2000..=0x3fff | 0xfc00..=0xfdff)));
    if reserved && !address.is_loopback() && !address.is_unspecified() {
        return Some((0.8, "an address that leads nowhere outside"));
    }
    (address.is_loopback() || address.is_unspecified()).then_some((0.8, "the machine itself"))
}

/// An address, and whether it is written as addresses are.
fn address(host: &[u8]) -> Option<(IpAddr, bool)> {
    let text = str::from_utf8(host).ok()?;
    if let Ok(address) = text.parse::<IpAddr>() {
        let mapped = matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
        return Some((address, !mapped));
    }
    // inet_aton: up to four parts, in any radix, the last of which fills what is left.
    let mut value = 0_u64;
    let mut count = 0_u32;
    let parts = text.split('.').count();
    if parts > 4 || text.is_empty() {
        return None;
    }
    for part in text.split('.') {
        count += 1;
        let number = if let Some(hex) = part.strip_prefix("0x") {
            u64::from_str_radix(hex, 16).ok()?
        } else if part.len() > 1 && part.starts_with('0') {
            u64::from_str_radix(part.trim_start_matches('0'), 8)
                .ok()
                .or((part.bytes().all(|b| b == b'0')).then_some(0))?
        } else {
            part.parse().ok()?
        };
        if count as usize == parts {
            // Some resolvers let the last part overflow.
            let bits = 8 * (5 - count);
            value = (value << bits) | (number & ((1_u64 << bits) - 1));
            if number >> bits > 0 && parts > 1 {
                return None;
            }
        } else {
            if number > 255 {
                return None;
            }
            value = (value << 8) | number;
        }
    }
    // A single small number is a number.
    if parts == 1 && value != 0 && value < 1 << 24 {
        return None;
    }
    let address = Ipv4Addr::from(u32::try_from(value).ok()?);
    Some((IpAddr::V4(address), text == address.to_string()))
}

/// Digits in circles and the like (U+2460…), which some resolvers read as digits.
fn enclosed(host: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for character in String::from_utf8_lossy(host).chars() {
        match u32::from(character) {
            code @ 0x2460..=0x2473 => out.extend_from_slice((code - 0x245f).to_string().as_bytes()),
            0x24ea => out.push(b'0'),
            0x3002 | 0xff0e | 0xff61 => out.push(b'.'),
            code => out.extend(u8::try_from(code).ok()),
        }
    }
    out
}

/// Whether browsers and parsers disagree on the host.
fn misleads(authority: &[u8]) -> bool {
    let ats = authority.iter().filter(|byte| **byte == b'@').count();
    let user = memchr::memrchr(b'@', authority)
        .and_then(|at| authority.get(..at))
        .unwrap_or_default();
    ats > 1
        || user.starts_with(b":")
        || memchr::memmem::find(user, b"%2f").is_some()
        || user.ends_with(b"\\")
        || ats == 1 && memchr::memchr(b'[', authority).is_some()
        || memchr::memchr(0, authority).is_some()
}

/// `google.com:80 &@127.0.0.1`: what stands before white space or `#` is the host for one parser, what follows `@` for another.
fn hides_host(upto: &[u8]) -> bool {
    let Some(at) = memchr::memrchr(b'@', upto) else {
        return false;
    };
    let before = upto.get(..at).unwrap_or_default();
    before.len() < 64
        && before.iter().any(|byte| matches!(byte, b' ' | b'#' | b'\\'))
        && before.contains(&b'.')
}

/// A value that browsers take for another host although it begins like a path.
fn redirects(text: &Text<'_>) -> Option<&'static str> {
    let lower = text.lower;
    if text.source == Source::Path || text.source == Source::Name || lower.len() > 512 {
        return None;
    }
    let host = |rest: &[u8]| {
        let name = rest
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(**byte, b'-' | b'.'))
            .count();
        let name = rest.get(..name).unwrap_or_default();
        name.len() >= 4 && name.contains(&b'.') && !name.starts_with(b".")
    };
    let rest = [
        &b"///"[..],
        b"/\\/",
        b"/\\",
        b"\\/\\/",
        b"//\t/",
        b"/\t/",
        b"\\\\/",
        b"http:///",
        b"https:///",
    ]
    .iter()
    .find_map(|start| lower.strip_prefix(*start))?;
    let rest = skip_while(rest, |byte| matches!(byte, b'/' | b'\\'));
    host(rest).then_some("a path that browsers take for another host")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(value: &str, name: &[u8]) -> Option<Class> {
        let lower = value.to_ascii_lowercase();
        let text = Text {
            name,
            ..Text::new(value.as_bytes(), lower.as_bytes(), Source::Query)
        };
        detect(&text).map(|hit| hit.class)
    }

    #[test]
    fn the_machine_and_its_cloud_are_found() {
        for value in [
            "http://169.254.169.254/latest/meta-data/",
            "http://localhost:8080/admin",
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://[::1]/",
            "http://[::ffff:169.254.169.254]/",
            "gopher://x.test:25/_HELO",
            "http://metadata.google.internal/computeMetadata/v1/",
            "http://10.0.0.1.nip.io/",
            "http://a@127.0.0.1/",
            "http://①②⑦.⓪.⓪.①/",
            "localhost/admin",
        ] {
            assert_eq!(class(value, b"url"), Some(Class::Ssrf), "{value}");
        }
        assert_eq!(class("///evil.test/x", b"next"), Some(Class::OpenRedirect));
    }

    #[test]
    fn the_web_and_neighbours_are_not() {
        for value in [
            "https://example.test/a?b=c",
            "http://10.0.0.7:9200/_search",
            "postgres://db.internal:5432/x",
            "https://user:secret@example.test/",
            "//cdn.example.test/a.js",
            "http://1.2.3.4/",
            "localhost:5432",
            "urn:isbn:12345",
            "12:30",
            "ratio 2130706433",
            "s3://bucket/key",
            "ftp://example.test/a",
        ] {
            assert_eq!(class(value, b"url"), None, "{value}");
        }
        assert_eq!(class("http://localhost:3000/callback", b"redirect_uri"), None);
    }
}
