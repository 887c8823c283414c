//! How requests come: in clear, over old TLS, too many of them.

use super::*;

#[test]
fn credentials_in_clear_and_in_urls() {
    let plain = |client: &str| {
        let line = sends(get("/me"), bearer("abcdef"));
        with(line, json!({"scheme": "http", "client": client}))
    };
    assert_eq!(
        rules(&[plain(PRIVATE)]),
        [("plain_http_credentials".into(), Severity::Medium)]
    );
    assert_rules(&[plain(PUBLIC)], &["plain_http_credentials", "internet_exposure"]);
    assert_rules(&[plain(HERE)], &[]);
    let behind_proxy = json!([["authorization", "Bearer abcdef"], ["x-forwarded-proto", "https"]]);
    assert_rules(&[sends(plain(PRIVATE), behind_proxy)], &[]);
    assert_rules(&[get("/me?access_token=abcdef123456")], &["credentials_in_url"]);
    assert_rules(&[get("/file?sig=abcdef123456&page=2")], &[]);
}

#[test]
fn versions_of_tls_that_are_broken() {
    let over = |version: &str, client: &str| {
        rules(&[with(get("/a"), json!({"tls_version": version, "client": client}))])
    };
    assert_eq!(over("TLSv1.0", PRIVATE), [("old_tls".into(), Severity::Medium)]);
    assert_eq!(over("SSLv3", PRIVATE), [("old_tls".into(), Severity::Medium)]);
    assert_eq!(over("1.1", PUBLIC)[0], ("old_tls".into(), Severity::High));
    for fine in ["TLSv1.2", "1.3", "", "unknown"] {
        assert_eq!(over(fine, PRIVATE), []);
    }
}

#[test]
fn attempts_without_a_limit() {
    let attempt = with(get("/v1/login"), json!({"method": "POST", "status": 401}));
    assert_rules(&times(25, &attempt), &["missing_rate_limit"]);
    let mut limited = times(25, &attempt);
    limited.push(with(attempt.clone(), json!({"status": 429})));
    assert_rules(&limited, &[]);
    assert_rules(&times(10, &attempt), &[]);
    // Codes and vouchers are guessed as passwords are; what is not found says nothing of other places.
    let guesses = |method: &str, target: &str| {
        let found = with(get(target), json!({"method": method}));
        let mut lines = times(25, &with(found.clone(), json!({"status": 404})));
        lines.insert(0, found);
        lines
    };
    assert_rules(&guesses("POST", "/v1/vouchers/redeem"), &["missing_rate_limit"]);
    assert_rules(
        &guesses("PUT", "/account/password-reset"),
        &["missing_rate_limit"],
    );
    assert_rules(&guesses("POST", "/v1/orders"), &[]);
    assert_rules(&guesses("GET", "/v1/vouchers"), &[]);
}

#[test]
fn one_address_may_ask_as_often_as_it_likes() {
    let asks = |times: usize, client: &str, seconds: f64| -> Vec<Value> {
        let line = |at: usize| {
            let ts = NOW + seconds * at as f64 / times as f64;
            with(get("/catalogue"), json!({"client": client, "ts": ts}))
        };
        (0..times).map(line).collect()
    };
    let internet = "internet_exposure";
    let often = asks(400, PUBLIC, 10.0);
    assert_eq!(
        rules(&often),
        [
            ("missing_rate_limit".into(), Severity::Low),
            (internet.into(), Severity::Info)
        ]
    );
    let mut limited = often.clone();
    limited.push(with(often[0].clone(), json!({"status": 429})));
    assert_rules(&limited, &[internet]);
    assert_rules(&asks(400, PUBLIC, 600.0), &[internet]);
    // Programs of the same network have nobody to wait for.
    assert_rules(&asks(400, PRIVATE, 10.0), &[]);
}
