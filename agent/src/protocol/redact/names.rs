//! Which header fields carry secrets, by name.

use crate::protocol::field;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secret {
    /// Scheme and credentials (RFC 9110 §11.4).
    Authorization,
    /// Cookies of the client.
    Cookie,
    /// A cookie set by the server.
    SetCookie,
    /// A key or token that is the whole value.
    ApiKey,
    /// A secret that does not authenticate the caller: masked, not reported.
    Other,
}

/// Longest field name that is looked at.
const NAME_BYTES: usize = 40;

/// What the field with this name holds; `None` for a field without secrets.
pub(super) fn classify(name: &[u8]) -> Option<Secret> {
    // The names below end in few letters; most of the others leave here.
    if !matches!(
        name.last()? | 0x20,
        b'n' | b'e' | b'y' | b'h' | b't' | b'd' | b'o' | b'2'
    ) {
        return None;
    }
    if is_harmless(name) {
        return None;
    }
    let mut lower = [0; NAME_BYTES];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    Some(match &*lower {
        b"authorization" | b"proxy-authorization" | b"x-authorization" | b"x-amz-authorization" => {
            Secret::Authorization
        }
        b"cookie" => Secret::Cookie,
        b"set-cookie" | b"set-cookie2" => Secret::SetCookie,
        b"api-key"
        | b"apikey"
        | b"x-apikey"
        | b"x-auth"
        | b"x-auth-key"
        | b"x-key"
        | b"token"
        | b"access-token"
        | b"auth-token"
        | b"private-token"
        | b"job-token"
        | b"deploy-token"
        | b"ocp-apim-subscription-key"
        | b"x-functions-key"
        | b"x-session-id"
        | b"x-session"
        | b"x-jwt"
        | b"x-jwt-assertion"
        | b"dd-application-key"
        | b"x-secret" => Secret::ApiKey,
        name if name.ends_with(b"csrf-token") || name.ends_with(b"xsrf-token") => Secret::Other,
        name if name.ends_with(b"-api-key")
            || name.ends_with(b"-apikey")
            || name.ends_with(b"-token")
            || name.ends_with(b"_token")
            || name.ends_with(b"-secret")
            || name.ends_with(b"-access-key")
            || name.ends_with(b"-auth-key") =>
        {
            Secret::ApiKey
        }
        b"authentication-info" | b"proxy-authentication-info" | b"x-password" => Secret::Other,
        name if name.ends_with(b"-password") || name.ends_with(b"-signature") => Secret::Other,
        _ => return None,
    })
}

/// The most frequent names, which carry nothing.
fn is_harmless(name: &[u8]) -> bool {
    match name.len() {
        4 => field::is(name, b"host") || field::is(name, b"date"),
        6 => field::is(name, b"accept"),
        10 => field::is(name, b"user-agent") || field::is(name, b"connection"),
        12 => field::is(name, b"content-type"),
        14 => field::is(name, b"content-length"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_case() {
        assert_eq!(classify(b"Authorization"), Some(Secret::Authorization));
        assert_eq!(classify(b"X-API-Key"), Some(Secret::ApiKey));
        assert_eq!(classify(b"X-Goog-Api-Key"), Some(Secret::ApiKey));
        assert_eq!(classify(b"X-Vault-Token"), Some(Secret::ApiKey));
        assert_eq!(classify(b"X-CSRF-Token"), Some(Secret::Other));
        assert_eq!(classify(b"Content-Type"), None);
        assert_eq!(classify(b"Accept"), None);
        assert_eq!(classify(&[b'x'; 100]), None);
    }
}
