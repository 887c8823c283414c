//! Somebody looks around: agents of scanners, and paths that only scanners ask for.
//!
//! In: an exchange. Out: at most one signal of the group "recon". That somebody scans is no incident; what a scan found
//! is for others to tell by the response. Bursts and enumeration are stateful and live elsewhere.

use std::{borrow::Cow, sync::LazyLock};

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind};

use crate::{
    exchange::Exchange,
    verdict::{Group, Reason, Signal},
};

/// Words in `User-Agent` by which scanners name themselves. Crawlers, monitors and clients are left out.
const AGENTS: &str = "sqlmap nikto nuclei nessus openvas acunetix netsparker wpscan dirbuster gobuster dirb/ ffuf feroxbuster \
     masscan zgrab nmap whatweb w3af arachni jaeles dalfox xsstrike commix havij zaproxy owasp-zap burpsuite \
     burpcollaborator qualys wapiti skipfish vega/ jorgee muieblackcat morfeus zmeu paros webinspect appscan \
     fimap joomscan detectify intruder.io projectdiscovery hakrawler wfuzz kiterunner log4shell-scan l9explore \
     l9tcpid censysinspect expanse internet-measurement hydra medusa patator metasploit mozlila";

/// Beginnings of paths that no API of this host would serve by chance, in lower case.
const PATHS: &str = "/wp-login.php /wp-admin /wp-content/ /wp-includes/ /xmlrpc.php /phpmyadmin /pma/ /myadmin/ /adminer \
     /phpinfo.php /info.php /cgi-bin/ /.git/ /.env /.aws/ /.svn/ /.hg/ /.ds_store /.htaccess /.htpasswd /.vscode/ \
     /server-status /server-info /manager/html /host-manager/ /jmx-console /web-console/ /invoker/ /solr/admin \
     /hudson /boaform/ /hnap1 /gponform/ /setup.cgi /goform/ /owa/auth /autodiscover/ /ecp/ /remote/login \
     /dana-na/ /vpn/index.html /global-protect/ /cgi-mod/ /vendor/phpunit/ /_ignition/execute-solution \
     /telescope/requests /actuator/gateway /actuator/heapdump /actuator/env /jolokia /druid/index.html /nacos/ \
     /struts2 /struts/ /console/login/loginform.jsp /wls-wsat/ /_async/ /axis2 /sdk/webpac /webui/ /evox/about \
     /nmaplowercheck /nice%20ports /etc/passwd /shell.php /c99.php /r57.php /alfa.php /wso.php /_profiler/phpinfo";

static AGENT_WORDS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    AhoCorasickBuilder::new()
        .ascii_case_insensitive(true)
        .kind(Some(AhoCorasickKind::DFA))
        .build(AGENTS.split_ascii_whitespace())
        .ok()
});

static SORTED_PATHS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let mut paths: Vec<_> = PATHS.split_ascii_whitespace().collect();
    paths.sort_unstable();
    paths
});

/// The first letters of these, without their slash.
static BEGINNINGS: LazyLock<Vec<[u8; 2]>> = LazyLock::new(|| {
    let mut beginnings: Vec<_> = SORTED_PATHS
        .iter()
        .filter_map(|path| beginning(path.as_bytes()))
        .collect();
    beginnings.dedup();
    beginnings
});

/// The first letters of a path, without its slash, in lower case.
fn beginning(path: &[u8]) -> Option<[u8; 2]> {
    let letters: &[u8; 2] = path.get(1..)?.first_chunk()?;
    Some(letters.map(|letter| letter.to_ascii_lowercase()))
}

/// Longest beginning of a path that is compared.
const MAX_PATH_BYTES: usize = 48;

/// Adds what the request of this exchange shows.
pub(crate) fn inspect(exchange: &Exchange, signals: &mut Vec<Signal>) {
    let Some(request) = &exchange.request else {
        return;
    };
    let agent = request.head.first("user-agent").unwrap_or_default();
    if AGENT_WORDS.as_ref().is_some_and(|words| words.is_match(agent)) {
        push(
            "scanner_agent",
            0.9,
            "header.user-agent",
            "a scanner names itself",
            signals,
        );
        return;
    }
    if is_probed(&request.target) {
        push(
            "scanner_path",
            0.7,
            "path",
            "a path that scanners ask for",
            signals,
        );
    }
}

/// Whether a path begins like one that scanners ask for, and ends there or goes on below.
fn is_probed(target: &str) -> bool {
    // Most paths begin otherwise.
    if beginning(target.as_bytes()).is_none_or(|begins| BEGINNINGS.binary_search(&begins).is_err()) {
        return false;
    }
    let mut lower = [0_u8; MAX_PATH_BYTES];
    let head = target
        .as_bytes()
        .get(..MAX_PATH_BYTES)
        .unwrap_or(target.as_bytes());
    let Some(path) = lower.get_mut(..head.len()) else {
        return false;
    };
    path.copy_from_slice(head);
    path.make_ascii_lowercase();
    let path = &*path;
    // The known beginnings that sort before the path: the closest is its prefix, if any is.
    let behind = SORTED_PATHS.partition_point(|known| known.as_bytes() <= path);
    SORTED_PATHS
        .get(..behind)
        .unwrap_or_default()
        .iter()
        .rev()
        .take_while(|known| known.as_bytes().get(..3) == path.get(..3))
        .any(|known| {
            let rest = path.strip_prefix(known.as_bytes());
            rest.is_some_and(|rest| {
                known.ends_with('/') || matches!(rest.first(), None | Some(b'/' | b'?' | b'.'))
            })
        })
}

fn push(class: &'static str, confidence: f32, place: &str, why: &str, signals: &mut Vec<Signal>) {
    signals.push(Signal {
        detector: Cow::Borrowed("recon"),
        class: Cow::Borrowed(class),
        group: Group::Recon,
        confidence,
        place: place.to_owned(),
        reason: Some(Reason {
            group: Group::Recon,
            detector: Cow::Borrowed("recon"),
            text: why.to_owned(),
            observed: None,
            expected: None,
            n: None,
            window: None,
        }),
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::fixture::call;

    fn class(target: &str, agent: &str) -> Option<String> {
        let mut signals = Vec::new();
        inspect(
            &call("GET", target).field("user-agent", agent).exchange(),
            &mut signals,
        );
        assert!(signals.len() <= 1);
        signals.pop().map(|signal| signal.class.into_owned())
    }

    #[test]
    fn scanners_are_told_from_clients() {
        for agent in [
            "sqlmap/1.8#stable (https://sqlmap.org)",
            "Mozilla/5.00 (Nikto/2.5.0)",
            "Nuclei - Open-source project",
        ] {
            assert_eq!(
                class("/v1/users", agent).as_deref(),
                Some("scanner_agent"),
                "{agent}"
            );
        }
        for agent in [
            "curl/8.5.0",
            "python-requests/2.31",
            "Mozilla/5.0 (X11; Linux x86_64)",
            "kube-probe/1.29",
            "GoogleBot/2.1",
        ] {
            assert_eq!(class("/v1/users", agent), None, "{agent}");
        }
    }

    #[test]
    fn paths_of_scanners_are_told_from_apis() {
        for target in [
            "/wp-login.php",
            "/.git/config",
            "/.env",
            "/.env.local",
            "/phpMyAdmin/index.php",
            "/actuator/env?x=1",
            "/cgi-bin/test.sh",
        ] {
            assert_eq!(class(target, "x").as_deref(), Some("scanner_path"), "{target}");
        }
        for target in [
            "/v1/users",
            "/",
            "/environments",
            "/.well-known/openid-configuration",
            "/actuator/health",
            "/hudson-river",
            "/envelope",
            "/api/.env",
        ] {
            let found = class(target, "x");
            assert_eq!(found, None, "{target}");
        }
    }
}
