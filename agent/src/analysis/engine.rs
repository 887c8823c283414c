//! The way of one exchange through detectors, verdict and baseline.
//!
//! In: a [`Look`]. Out: signals and a verdict. What looked like an attack is not learned from, nor is what its actor does
//! in the hour after; what was not seen whole is neither learned from nor missed.

use super::{
    Conclusion,
    baseline::{Baseline, Baselines, Odd, Voucher, WINDOW_SECONDS},
    classes::is_adversarial,
    deploy::Deploys,
    detect::{Detectors, Memory, Scan, Scans, Scene, is_login},
    fields::Fields,
    findings::Findings,
    hash::mix,
    judge::{Answer, COUNTS, Judge, Raised, Subject},
    look::{Look, Outcome},
    protocol, recon,
    repeated::Repeated,
    signature::Inspector,
};
use crate::{
    clock::Timestamp,
    exchange::Exchange,
    verdict::{AlertKind, Group, Reason, Severity, Signal, Verdict},
};

/// Actors that nothing is learned from for a while. Overflow policy: the one not seen for the longest is forgotten.
const MAX_BLOCKED: usize = 4096;

/// Seconds for which nothing is learned from an actor after an incident.
const BLOCKED: u64 = 3600;

/// Of the answers of an active endpoint, one in so many is read; all while it learns.
const READ_EVERY: u64 = 16;

/// Exchanges between two looks at the stage of a baseline.
const PROMOTE_EVERY: u64 = 32;

/// Everything that looks at exchanges.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) signatures: Inspector,
    repeated: Repeated,
    pub(super) detectors: Detectors,
    pub(super) scans: Scans,
    pub(super) baselines: Baselines,
    pub(super) judge: Judge,
    pub(super) findings: Findings,
    pub(super) learning_only: bool,
    deploys: Deploys,
    blocked: Memory<Timestamp>,
    /// What the exchange that comes next shows by itself, where that was asked for.
    pub(super) ahead: Option<Vec<Signal>>,
    asked: Fields,
    answered: Fields,
}

impl Default for Engine {
    fn default() -> Self {
        Self {
            signatures: Inspector::default(),
            repeated: Repeated::default(),
            detectors: Detectors::default(),
            scans: Scans::default(),
            baselines: Baselines::default(),
            judge: Judge::default(),
            findings: Findings::default(),
            learning_only: false,
            deploys: Deploys::default(),
            blocked: Memory::new(MAX_BLOCKED),
            ahead: None,
            asked: Fields::default(),
            answered: Fields::default(),
        }
    }
}

impl Engine {
    /// Looks at an exchange that a workload of this host sent elsewhere.
    pub(super) fn sent(&mut self, look: &Look<'_>) -> Conclusion {
        let mut signals = Vec::new();
        self.detectors.sent(look, &mut signals);
        if self.learning_only {
            signals.clear();
        }
        Conclusion {
            verdict: self.judge.exchange(look, &signals, Answer::Other),
            signals,
        }
    }

    /// Looks at an exchange without a request: there is nothing to judge it by.
    pub(super) fn torn(&mut self, exchange: &Exchange) -> Conclusion {
        Conclusion {
            signals: self.by_itself(exchange),
            ..Conclusion::default()
        }
    }

    /// Looks at what an exchange shows by itself, ahead of all else. Whether that is an attack.
    pub(super) fn looks_bad(&mut self, exchange: &Exchange) -> bool {
        let signals = self.by_itself(exchange);
        let is_bad = signals.iter().any(|signal| {
            signal.group == Group::Signature && signal.confidence >= COUNTS || signal.class == "scanner_agent"
        });
        self.ahead = Some(signals);
        is_bad
    }

    /// What an exchange shows by itself; what was found ahead is taken. The body of its request is read for that, once for
    /// all.
    fn by_itself(&mut self, exchange: &Exchange) -> Vec<Signal> {
        if let Some(signals) = self.ahead.take() {
            return signals;
        }
        match &exchange.request {
            Some(request) => self.asked.read_body(request),
            None => self.asked.clear(),
        }
        let mut signals = Vec::new();
        if self.is_repeated(exchange) {
            protocol::inspect(exchange, &mut signals);
            return signals;
        }
        self.signatures
            .inspect(exchange, self.asked.strings(), &mut signals);
        let of_values = signals.len();
        protocol::inspect(exchange, &mut signals);
        let of_both = signals.len();
        recon::inspect(exchange, &mut signals);
        // How it was framed is another matter each time.
        if let Some(request) = &exchange.request
            && of_values == 0
            && signals.len() == of_both
        {
            self.repeated.note(request);
        }
        signals
    }

    /// Whether what this exchange asks was looked into before, and showed nothing.
    fn is_repeated(&self, exchange: &Exchange) -> bool {
        exchange
            .request
            .as_ref()
            .is_some_and(|request| self.repeated.has(request))
    }

    /// Looks at an exchange that a workload of this host served.
    pub(super) fn served(&mut self, look: &Look<'_>) -> Conclusion {
        let mut signals = self.by_itself(look.exchange);
        let by_itself = signals.len();
        self.asked.read_target(look);
        let learned = look.endpoint.and_then(|id| self.baselines.get(id));
        let usual = learned.filter(|baseline| baseline.is_active() && !self.learning_only);
        self.asked.compare(usual.map(|usual| &usual.asked));
        let is_login = is_login(look, &self.asked);
        let reads = Detectors::wants_answer(look, &self.asked, is_login, usual)
            || learned.is_none_or(|baseline| !baseline.is_active() || baseline.n.is_multiple_of(READ_EVERY));
        self.answered.clear();
        if reads {
            self.answered.read_answer(look);
        }
        let whole_answer = look
            .exchange
            .response
            .as_ref()
            .is_some_and(|response| !response.body.cut);
        let answered = (reads && whole_answer).then_some(&self.answered);
        let scene = Scene {
            look,
            asked: &self.asked,
            answered,
            usual,
            is_login,
            learned,
            is_after_deploy: self.deploys.see(look),
        };
        self.detectors.served(&scene, &mut signals);
        if self.learning_only {
            signals.truncate(by_itself);
        }
        if let Some(usual) = usual {
            soften(usual, &mut signals);
        }
        let scan = self.scans.inspect(look, usual, &mut signals);
        let answer = match self.detectors.has_login_failed() {
            true => Answer::Other,
            false => answer(look, usual),
        };
        let verdict = self.judge(look, scan, answer, &signals);
        if verdict == Verdict::Incident {
            for name in [look.actor, look.source] {
                *self.blocked.of(name) = look.at;
            }
        }
        self.learn(look, &signals, reads && whole_answer);
        Conclusion { verdict, signals }
    }

    /// A scan that is refused is one alert per source and hour; everything else is judged by itself.
    fn judge(&mut self, look: &Look<'_>, scan: Scan, answer: Answer, signals: &[Signal]) -> Verdict {
        let is_probe = |signal: &Signal| {
            signal.confidence < COUNTS
                || matches!(signal.group, Group::Signature | Group::Recon | Group::Protocol)
        };
        let is_refused = look.outcome.is_rejected();
        let tools = signals
            .iter()
            .any(|signal| signal.group == Group::Recon && signal.confidence >= 0.8)
            && signals.iter().any(|signal| signal.group == Group::Signature);
        if is_refused && (scan == Scan::Probing || tools) && signals.iter().all(is_probe) {
            let mut subject = Subject::source(look);
            subject.actor_group = mix(subject.actor_group, look.second() / 3600);
            let raised = Raised {
                kind: AlertKind::Incident,
                class: "probing".into(),
                group: Group::Recon,
                severity: Severity::Low,
                confidence: 0.7,
            };
            return match self.judge.raise(&subject, raised, signals, None, Some(look)) {
                true => Verdict::Incident,
                false => Verdict::None,
            };
        }
        self.judge.exchange(look, signals, answer)
    }

    fn learn(&mut self, look: &Look<'_>, signals: &[Signal], has_answer: bool) {
        let lesson = self.detectors.objects.take_lesson();
        let Some(endpoint) = look.endpoint else {
            return;
        };
        if !look.is_whole || is_probe_of_health(look) {
            return;
        }
        let is_blocked = [look.actor, look.source].iter().any(|name| {
            self.blocked
                .get(*name)
                .is_some_and(|since| look.at.since(*since).as_secs() < BLOCKED)
        });
        let looks_bad = |signal: &Signal| is_adversarial(signal.group) && signal.confidence >= COUNTS;
        let is_clean = !is_blocked && !signals.iter().any(looks_bad);
        let gate = self.baselines.gate;
        let baseline = self.baselines.entry(endpoint, &look.served_by().id);
        let odd = baseline.pass(look);
        let has_signature = signals.iter().any(|signal| signal.group == Group::Signature);
        baseline.signatures.add(has_signature);
        if has_signature && look.is_success() {
            baseline.signature_sources.add(look.source, look.hour());
        }
        let answered = has_answer.then_some(&self.answered);
        let voucher = match (is_clean, self.learning_only) {
            (false, _) => Voucher::Nobody,
            (true, false) => Voucher::Traffic,
            (true, true) => Voucher::Operator,
        };
        let became = baseline.learn(look, &self.asked, answered, voucher);
        if is_clean && look.is_success() {
            lesson.teach(baseline);
            if voucher == Voucher::Operator || !baseline.has_had_its_share(look.source) {
                self.detectors.claims.teach(baseline);
            }
            self.detectors.sequence.teach(baseline);
            baseline.fetches.add(self.detectors.ssrf.has_joined);
        }
        // Endpoints that became one have what it takes at once.
        let is_due = !baseline.is_active() && baseline.n >= gate.requests;
        if is_due || baseline.n.is_multiple_of(PROMOTE_EVERY) {
            baseline.promote(&gate, look.at);
        }
        if let Some(field) = became {
            self.findings.api_changed(look, &field);
        }
        if !self.learning_only {
            odd.iter().for_each(|odd| self.odd(look, odd));
        }
    }

    /// A window of an endpoint was odd.
    fn odd(&mut self, look: &Look<'_>, odd: &Odd) {
        let mut subject = Subject::of(look);
        subject.actor_group = 0;
        "everybody".clone_into(&mut subject.actor);
        let reason = Reason {
            group: Group::Statistical,
            detector: "window".into(),
            text: odd.measure.text().to_owned(),
            observed: Some(format!("{:.3}", odd.observed)),
            expected: Some(format!("{:.3}", odd.expected)),
            n: Some(odd.n),
            window: Some(WINDOW_SECONDS as f64),
        };
        let raised = Raised {
            kind: AlertKind::Anomaly,
            class: odd.measure.class().into(),
            group: Group::Statistical,
            severity: Severity::Info,
            confidence: 0.6,
        };
        self.judge.raise(&subject, raised, &[], Some(reason), None);
    }
}

/// Where many send what looks bad and are served, it is content: a board of programmers, a store of templates.
fn soften(usual: &Baseline, signals: &mut [Signal]) {
    let is_content = usual.signatures.share() > 0.01 && usual.signature_sources.len() >= 3;
    for signal in signals {
        let is_habit = signal.group == Group::Signature && is_content
            || signal.group == Group::Recon && usual.refused.share() < 0.5;
        if is_habit {
            signal.confidence = signal.confidence.min(0.4);
        }
    }
}

/// Whether the server answered as it answers what it likes.
fn answer(look: &Look<'_>, usual: Option<&Baseline>) -> Answer {
    let Some(response) = look
        .exchange
        .response
        .as_ref()
        .filter(|_| look.outcome == Outcome::Success)
    else {
        return Answer::Other;
    };
    // A page of 200 where 201 is usual is an error page in disguise.
    let is_usual = usual.is_none_or(|usual| usual.status.has(response.status));
    if is_usual { Answer::Normal } else { Answer::Other }
}

/// Whether an exchange only asks whether a service lives: there is nothing usual to learn from it.
fn is_probe_of_health(look: &Look<'_>) -> bool {
    let agent = look.request.head.first("user-agent").unwrap_or_default();
    [
        &b"kube-probe"[..],
        b"ELB-HealthChecker",
        b"GoogleHC",
        b"Consul Health Check",
    ]
    .iter()
    .any(|probe| agent.starts_with(probe))
}
