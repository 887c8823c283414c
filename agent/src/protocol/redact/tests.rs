use super::*;

static REDACTOR: std::sync::LazyLock<Redactor> =
    std::sync::LazyLock::new(|| Redactor::new(*b"0123456789abcdef"));

/// Builds a request head by hand, redacts it, and returns the masked text with what was found.
fn redact(target: &str, fields: &[(&str, &str)]) -> (String, Credentials) {
    let mut text = String::from("GET ");
    let start = text.len() as u32;
    text.push_str(target);
    let target = start..text.len() as u32;
    text.push_str(" HTTP/1.1\r\n");
    let mut ranges = Vec::new();
    for (name, value) in fields {
        let name_start = text.len() as u32;
        text.push_str(name);
        let name_end = text.len() as u32;
        text.push_str(": ");
        let value_start = text.len() as u32;
        text.push_str(value);
        ranges.push((name_start..name_end, value_start..text.len() as u32));
        text.push_str("\r\n");
    }
    let mut buffer = text.into_bytes();
    let found = REDACTOR.request(&mut buffer, &target, &ranges);
    (String::from_utf8(buffer).unwrap(), found)
}

fn schemes(found: &Credentials) -> Vec<&'static str> {
    found.iter().map(|credential| credential.scheme).collect()
}

#[test]
fn authorization_keeps_the_scheme_word_only() {
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl";
    let cases = [
        ("Basic dXNlcjpwYXNz", "basic"),
        ("Bearer s3cr3t-opaque", "bearer"),
        (&*format!("bearer {jwt}"), "bearer_jwt"),
        (jwt, "bearer_jwt"),
        ("Digest username=\"ann\", response=\"f00\"", "digest"),
        ("Negotiate YIIFzA==", "negotiate"),
        (
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, Signature=5d67",
            "aws_sigv4",
        ),
        ("SSWS 00QCjAl4MlV", "ssws"),
        ("token ghp_abc", "token"),
        ("Weird abc", "other"),
        ("abcdef0123456789", "other"),
    ];
    for (value, scheme) in cases {
        let (text, found) = redact("/", &[("Authorization", value)]);
        assert_eq!(schemes(&found), [scheme], "{value}");
        let secret = value.split_once(' ').map_or(value, |(_, secret)| secret);
        assert!(!text.contains(secret), "{text}");
        assert_eq!(
            found[0].location,
            CredentialLocation::Header("authorization".into())
        );
    }
    let (text, _) = redact("/", &[("authorization", "Basic dXNlcjpwYXNz")]);
    assert!(text.contains("authorization: Basic ************\r\n"), "{text}");
}

#[test]
fn signatures_that_change_keep_one_fingerprint() {
    let sign = |signature: &str| {
        let value = format!("AWS4-HMAC-SHA256 Credential=AKID/20150830/x, Signature={signature}");
        redact("/", &[("Authorization", &value)]).1[0].fingerprint
    };
    assert_eq!(sign("aaaa"), sign("bbbb"));
    let digest = |response: &str| {
        let value = format!("Digest username=\"ann\", response=\"{response}\"");
        redact("/", &[("Authorization", &value)]).1[0].fingerprint
    };
    assert_eq!(digest("1"), digest("2"));
}

#[test]
fn fingerprints_tell_secrets_apart_and_depend_on_the_key() {
    let one = redact("/", &[("x-api-key", "one")]).1[0].fingerprint;
    let two = redact("/", &[("x-api-key", "two")]).1[0].fingerprint;
    assert_ne!(one, two);
    assert_eq!(one, REDACTOR.fingerprint(b"one"));
    assert_ne!(one, Redactor::new([7; 16]).fingerprint(b"one"));
}

#[test]
fn cookies_lose_values_and_sessions_are_credentials() {
    let (text, found) = redact(
        "/",
        &[(
            "Cookie",
            "lang=en; connect.sid=s%3Aabc; csrftoken=zzz; JSESSIONID=1F",
        )],
    );
    assert!(
        text.contains("Cookie: lang=**; connect.sid=*******; csrftoken=***; JSESSIONID=**"),
        "{text}"
    );
    assert_eq!(schemes(&found), ["session_cookie", "session_cookie"]);
    assert_eq!(
        found[0].location,
        CredentialLocation::Cookie("connect.sid".into())
    );
    assert_eq!(found[1].location, CredentialLocation::Cookie("jsessionid".into()));
}

#[test]
fn query_secrets_are_masked_by_name_and_by_shape() {
    let (text, found) = redact("/a?user=1&api_key=abc&X-Amz-Signature=ff&page=2&password=", &[]);
    assert!(
        text.contains("/a?user=1&api_key=***&X-Amz-Signature=**&page=2&password= "),
        "{text}"
    );
    assert_eq!(schemes(&found), ["api_key", "aws_sigv4"]);
    assert_eq!(found[0].location, CredentialLocation::Query("api_key".into()));
    let (text, found) = redact("/a?state=eyJhbGciOiJub25lIn0.eyJhIjoxfQ.c2ln", &[]);
    assert!(text.contains("state=***"), "{text}");
    assert_eq!(schemes(&found), ["bearer_jwt"]);
}

#[test]
fn user_information_is_masked() {
    let (text, _) = redact("http://ann:pw@h/x@y", &[]);
    assert!(text.contains("http://******@h/x@y"), "{text}");
}

#[test]
fn api_key_headers() {
    let (text, found) = redact("/", &[("X-Goog-Api-Key", "AIza"), ("Accept", "*/json")]);
    assert!(text.contains("X-Goog-Api-Key: ****\r\nAccept: */json"), "{text}");
    assert_eq!(schemes(&found), ["api_key"]);
}

#[test]
fn set_cookie_keeps_name_and_attributes() {
    let mut buffer = b"Set-Cookie: sid=abc; Path=/; HttpOnly".to_vec();
    REDACTOR.response(&mut buffer, &[(0..10, 12..37)]);
    assert_eq!(buffer, b"Set-Cookie: sid=***; Path=/; HttpOnly");
}

#[test]
fn the_number_of_credentials_is_bounded_and_all_are_masked() {
    let cookies = (0..40)
        .map(|i| format!("sid{i}=secret"))
        .collect::<Vec<_>>()
        .join("; ");
    let (text, found) = redact("/", &[("Cookie", &cookies)]);
    assert_eq!(found.len(), MAX_CREDENTIALS);
    assert!(!text.contains("secret"));
}

#[test]
#[expect(clippy::reversed_empty_ranges, reason = "ranges that no parser makes")]
fn ranges_outside_the_buffer_are_left_alone() {
    let mut buffer = b"abc".to_vec();
    let found = REDACTOR.request(&mut buffer, &(2..9), &[(0..2, 9..12), (3..1, 1..0)]);
    assert!(found.is_empty());
    REDACTOR.response(&mut buffer, &[(0..9, 1..2)]);
    assert_eq!(buffer, b"abc");
}
