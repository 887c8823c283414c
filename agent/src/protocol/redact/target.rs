//! Secrets in request targets: query parameters by name or shape, and user information (RFC 3986 §3.2.1).

use super::{Found, is_jwt, lower, overwrite};
use crate::exchange::CredentialLocation;

/// Masks in place and reports.
pub(super) fn mask(target: &mut [u8], found: &mut Found<'_>) {
    mask_user_information(target);
    let Some(question) = memchr::memchr(b'?', target) else {
        return;
    };
    let Some(query) = target.get_mut(question + 1..) else {
        return;
    };
    for parameter in query.split_mut(|&b| matches!(b, b'&' | b';' | b'#')) {
        let Some(equals) = parameter.iter().position(|&b| b == b'=') else {
            continue;
        };
        let (name, value) = parameter.split_at_mut(equals);
        let Some(value) = value.get_mut(1..) else {
            continue;
        };
        if value.is_empty() {
            continue;
        }
        let scheme = if is_jwt(value) {
            Some("bearer_jwt")
        } else {
            scheme(name)
        };
        if let Some(scheme) = scheme {
            found.whole(CredentialLocation::Query(lower(name)), scheme, value);
        }
    }
}

/// The scheme that a parameter of this name stands for.
fn scheme(name: &[u8]) -> Option<&'static str> {
    let mut lower = [0; 32];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    for byte in &mut *lower {
        if *byte == b'-' {
            *byte = b'_';
        }
    }
    Some(match &*lower {
        b"api_key" | b"apikey" | b"key" | b"x_api_key" | b"appkey" | b"app_key" | b"subscription_key"
        | b"developer_key" | b"licence_key" | b"license_key" => "api_key",
        b"access_token" | b"token" | b"auth_token" | b"authtoken" | b"id_token" | b"refresh_token"
        | b"jwt" | b"bearer" | b"bearer_token" | b"private_token" | b"oauth_token" | b"session_token" => {
            "bearer"
        }
        b"auth" | b"authorization" | b"authentication" => "other",
        b"sig" | b"signature" | b"hmac" => "signature",
        b"x_amz_signature" | b"x_amz_credential" | b"x_amz_security_token" | b"awsaccesskeyid" => "aws_sigv4",
        b"x_goog_signature" | b"x_goog_credential" => "gcs_v4",
        b"password" | b"passwd" | b"pwd" | b"pass" | b"passphrase" => "password",
        b"secret" | b"client_secret" | b"api_secret" | b"secret_key" | b"app_secret" => "api_key",
        b"session" | b"sessionid" | b"session_id" | b"sid" | b"phpsessid" | b"jsessionid" => "session",
        _ => return None,
    })
}

/// `http://user:secret@host/`: the part before the `@` of the authority.
fn mask_user_information(target: &mut [u8]) {
    if target.first() == Some(&b'/') {
        return;
    }
    let Some(scheme) = target.windows(3).position(|window| window == b"://") else {
        return;
    };
    let Some(authority) = target.get_mut(scheme + 3..) else {
        return;
    };
    let end = authority
        .iter()
        .position(|&b| matches!(b, b'/' | b'?' | b'#'))
        .unwrap_or(authority.len());
    let Some(authority) = authority.get_mut(..end) else {
        return;
    };
    if let Some(at) = authority.iter().rposition(|&b| b == b'@')
        && let Some(user) = authority.get_mut(..at)
    {
        overwrite(user);
    }
}
