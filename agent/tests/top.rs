//! `apiarist top` as a person uses it: in a terminal of tmux, by keys.
//!
//! `cargo xtask setup` installs tmux. Without it the test says so and passes, but in CI, where it fails.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may be blunt")]

use std::{
    env, fs,
    process::{Command, Output},
    time::Duration,
};

use apiarist::clock::monotonic_ns;

const PATIENCE: Duration = Duration::from_secs(30);

/// A tmux server of its own, ended with this.
struct Tmux {
    socket: String,
}

impl Tmux {
    fn command(&self, arguments: &[&str]) -> Output {
        Command::new("tmux")
            .args(["-L", &self.socket, "-f", "/dev/null"])
            .args(arguments)
            .env("LC_ALL", "C.UTF-8")
            .output()
            .unwrap()
    }

    fn keys(&self, keys: &[&str]) {
        for key in keys {
            assert!(self.command(&["send-keys", "-t", "top", key]).status.success());
        }
    }

    fn screen(&self) -> String {
        String::from_utf8_lossy(&self.command(&["capture-pane", "-p", "-t", "top"]).stdout).into_owned()
    }

    /// The screen as soon as it shows every part.
    fn shows(&self, parts: &[&str]) -> String {
        let until = monotonic_ns() + PATIENCE.as_nanos() as u64;
        loop {
            let screen = self.screen();
            if parts.iter().all(|part| screen.contains(part)) {
                return screen;
            }
            assert!(monotonic_ns() < until, "{parts:?} do not show:\n{screen}");
        }
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.command(&["kill-server"]);
    }
}

fn exchanges() -> String {
    let mut lines = String::new();
    for number in 0..40 {
        let path = ["users", "orders", "invoices"][number % 3];
        lines.push_str(&format!(
            "{{\"ts\":{},\"workload\":\"shop\",\"method\":\"GET\",\"target\":\"/v1/{path}/{number}\",\"status\":200,\"duration_ms\":{number}}}\n",
            1_700_000_000 + number
        ));
    }
    lines
}

#[test]
fn views_search_details_and_resizing_work_by_keys() {
    if Command::new("tmux").arg("-V").output().is_err() {
        assert!(env::var_os("CI").is_none(), "run `cargo xtask setup` first");
        eprintln!("skipped: no tmux: run `cargo xtask setup`");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let store = directory.path().join("store").to_str().unwrap().to_owned();
    let input = directory.path().join("shop.jsonl");
    fs::write(&input, exchanges()).unwrap();
    let binary = env!("CARGO_BIN_EXE_apiarist");
    let replayed = Command::new(binary)
        .arg("replay")
        .arg(&input)
        .args(["--store", &store])
        .output()
        .unwrap();
    assert!(replayed.status.success());

    let tmux = Tmux {
        socket: format!("apiarist-test-{}", std::process::id()),
    };
    let command = format!("{binary} top --store {store}; echo left with $?; exec cat");
    let started = tmux.command(&["new-session", "-d", "-s", "top", "-x", "80", "-y", "24", &command]);
    assert!(started.status.success(), "{started:?}");

    let screen = tmux.shows(&[
        "3 endpoints",
        "/v1/users/{userId}",
        "/v1/orders/{orderId}",
        "q quit",
    ]);
    assert_eq!(screen.trim_end().lines().count(), 24, "{screen}");
    tmux.keys(&["/", "o", "r", "d", "e", "r", "s", "Enter"]);
    let screen = tmux.shows(&["[orders]", "/v1/orders/{orderId}"]);
    assert!(!screen.contains("/v1/users"), "{screen}");
    tmux.keys(&["Enter"]);
    tmux.shows(&["Details", "template        /v1/orders/{orderId}"]);
    tmux.keys(&["Escape"]);
    tmux.keys(&["2"]);
    tmux.shows(&["CALLERS"]);
    tmux.keys(&["3"]);
    tmux.shows(&["Nothing"]);
    tmux.keys(&["4"]);
    tmux.shows(&["Nothing"]);
    tmux.keys(&["1", "Escape"]);
    tmux.shows(&["/v1/users/{userId}"]);
    for (width, height) in [("132", "43"), ("40", "10"), ("80", "24")] {
        assert!(
            tmux.command(&["resize-window", "-t", "top", "-x", width, "-y", height])
                .status
                .success()
        );
        let lines: usize = height.parse().unwrap();
        tmux.shows(&["q quit", "3 endpoints"]);
        let until = monotonic_ns() + PATIENCE.as_nanos() as u64;
        while tmux.screen().trim_end().lines().count() != lines {
            assert!(monotonic_ns() < until, "{}", tmux.screen());
        }
    }
    tmux.keys(&["q"]);
    tmux.shows(&["left with 0"]);
}
