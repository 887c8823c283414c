//! A shop with its customers, to replay attacks in.
//!
//! In: what somebody does beside them. Out: what was concluded of it. The same numbers each time: what looks random is a
//! fixed sequence.

use std::{net::Ipv4Addr, sync::Arc};

use smallvec::smallvec;

use crate::{
    analysis::{Analysis, Seen, hash::hash_all},
    event::Address,
    exchange::{
        Completeness, Credential, CredentialLocation, Exchange, Facts, Side, TokenAlgorithm, TokenFacts,
    },
    inventory::{EndpointId, fixture::call},
    verdict::{AlertKind, Verdict},
    workload::{Workload, WorkloadKind},
};

/// A request in the making.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) method: &'static str,
    pub(super) template: Option<&'static str>,
    pub(super) target: String,
    pub(super) client: [u8; 4],
    pub(super) token: u64,
    /// Whom the token names.
    pub(super) claim: Option<u64>,
    pub(super) agent: &'static str,
    pub(super) body: String,
    pub(super) status: u16,
    pub(super) answer: String,
    pub(super) length: u64,
    pub(super) latency_ms: u64,
    pub(super) completeness: Completeness,
    pub(super) facts: Facts,
    pub(super) basic: bool,
}

/// A request to an endpoint, answered with 200.
pub(super) fn ask(method: &'static str, template: &'static str, target: impl Into<String>) -> Ask {
    Ask {
        method,
        template: Some(template),
        target: target.into(),
        client: [10, 0, 9, 9],
        token: 0,
        claim: None,
        agent: "shop-app/2.1",
        body: String::new(),
        status: 200,
        answer: "{\"ok\":true}".into(),
        length: 120,
        latency_ms: 6,
        completeness: Completeness::Complete,
        facts: Facts::default(),
        basic: false,
    }
}

impl Ask {
    pub(super) fn by(mut self, user: u64) -> Self {
        self.client = home(user);
        self.token = 1000 + user;
        self.claim = Some(100 + user);
        self
    }

    pub(super) fn from(mut self, client: [u8; 4]) -> Self {
        self.client = client;
        self
    }

    pub(super) fn token(mut self, token: u64) -> Self {
        self.token = token;
        self.claim = None;
        self
    }

    /// Whom the token names.
    pub(super) fn claim(mut self, user: u64) -> Self {
        self.claim = Some(user);
        self
    }

    pub(super) fn agent(mut self, agent: &'static str) -> Self {
        self.agent = agent;
        self
    }

    pub(super) fn body(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        self
    }

    pub(super) fn answer(mut self, answer: impl Into<String>) -> Self {
        self.answer = answer.into();
        self.length = self.answer.len() as u64;
        self
    }

    pub(super) fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(super) fn length(mut self, length: u64) -> Self {
        self.length = length;
        self
    }

    pub(super) fn latency_ms(mut self, latency_ms: u64) -> Self {
        self.latency_ms = latency_ms;
        self
    }

    /// No such thing: no endpoint, 404.
    pub(super) fn absent(mut self) -> Self {
        self.template = None;
        self.status = 404;
        self
    }

    fn exchange(&self, second: u64, number: u64) -> Exchange {
        let client = Address::Ip(Ipv4Addr::from(self.client).into(), 50_000);
        let mut made = call(self.method, &self.target)
            .field("user-agent", self.agent)
            .second(second)
            .from(client)
            .latency_ms(self.latency_ms)
            .status(self.status)
            .completeness(self.completeness)
            .answer(&self.answer);
        if !self.body.is_empty() {
            made = made.body("application/json", &self.body);
        }
        let mut exchange = made.exchange();
        exchange.number = number;
        exchange.facts = self.facts;
        if let Some(request) = &mut exchange.request {
            request.body.length = Some(self.body.len() as u64);
            if self.token != 0 {
                request.credentials = smallvec![Credential {
                    location: CredentialLocation::Header("authorization".into()),
                    scheme: if self.basic { "basic" } else { "bearer" },
                    fingerprint: self.token,
                    token: self.claim.map(|claim| Box::new(facts(claim))),
                }];
            }
        }
        if let Some(response) = &mut exchange.response {
            response.body.length = Some(self.length);
        }
        if self.completeness == Completeness::NoResponse {
            exchange.response = None;
        }
        exchange
    }
}

/// What a token says that names this user.
fn facts(user: u64) -> TokenFacts {
    TokenFacts {
        algorithm: TokenAlgorithm::Other,
        expires: None,
        issued: None,
        holder: Some(user),
        names: smallvec![TokenFacts::name_of(user.to_string().as_bytes())],
        has_guessable_key: false,
        brings_key: false,
        is_sensitive: false,
    }
}

/// The address of a customer.
pub(super) fn home(user: u64) -> [u8; 4] {
    [10, 0, user as u8, 7]
}

/// Customers.
pub(super) const USERS: u64 = 12;

/// Seconds between two visits of a customer.
const VISIT: u64 = 1800;

/// The shop, its customers, and what is concluded.
#[derive(Debug)]
pub(super) struct World {
    pub(super) analysis: Analysis,
    workload: Arc<Workload>,
    /// Seconds since the start.
    pub(super) now: u64,
    next_visit: u64,
    number: u64,
    /// Times as much as usual.
    pub(super) volume: u64,
    /// A deploy has added a field to requests and answers.
    pub(super) is_deployed: bool,
    /// Verdicts on what the customers do.
    pub(super) normal: Vec<(String, Verdict)>,
    /// Verdicts on what is done beside them.
    pub(super) special: Vec<Verdict>,
    seed: u64,
}

impl World {
    /// A shop in which a day and two hours have passed.
    pub(super) fn learned() -> Self {
        let mut world = Self::young();
        world.pass(26 * 3600);
        world
    }

    /// A shop that was just opened.
    pub(super) fn young() -> Self {
        Self {
            analysis: Analysis::default(),
            workload: Arc::new(Workload::named(WorkloadKind::Process, "shop")),
            now: 0,
            next_visit: 0,
            number: 0,
            volume: 1,
            is_deployed: false,
            normal: Vec::new(),
            special: Vec::new(),
            seed: 7,
        }
    }

    /// Another version of the shop is deployed.
    pub(super) fn deploy(&mut self, version: &str) {
        let mut workload = Workload::named(WorkloadKind::Process, "shop");
        workload.version = Some(version.to_owned());
        self.workload = Arc::new(workload);
    }

    /// Lets time pass; customers come and go.
    pub(super) fn pass(&mut self, seconds: u64) {
        let end = self.now + seconds;
        while self.next_visit <= end {
            self.now = self.now.max(self.next_visit);
            let slot = self.next_visit / (VISIT / USERS);
            for _ in 0..self.volume {
                self.visit(slot % USERS);
            }
            self.next_visit += VISIT / USERS;
        }
        self.now = end;
    }

    /// Somebody does something, after some seconds.
    pub(super) fn then(&mut self, seconds: u64, ask: &Ask) -> Verdict {
        self.pass(seconds);
        let verdict = self.look(ask);
        self.special.push(verdict);
        verdict
    }

    /// The shop itself calls another host.
    pub(super) fn call_out(&mut self, host: &str, server: [u8; 4]) {
        let address = Address::Ip(Ipv4Addr::from(server).into(), 80);
        let mut exchange = call("GET", "/x")
            .field("host", host)
            .second(self.now)
            .to(address)
            .exchange();
        exchange.number = self.number;
        assert_eq!(exchange.connection.side, Side::Client);
        self.number += 1;
        self.conclude(&exchange, None, None);
    }

    /// Classes of incidents.
    pub(super) fn incidents(&self) -> Vec<String> {
        let alerts = self.analysis.alerts();
        assert!(
            alerts
                .iter()
                .all(|alert| alert.kind == AlertKind::Incident && !alert.reasons.is_empty())
        );
        alerts.into_iter().map(|alert| alert.class.into_owned()).collect()
    }

    /// Classes of anomalies.
    pub(super) fn anomalies(&self) -> Vec<String> {
        let anomalies = self.analysis.anomalies();
        anomalies
            .into_iter()
            .map(|alert| alert.class.into_owned())
            .collect()
    }

    pub(super) fn random(&mut self, below: u64) -> u64 {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) % below
    }

    pub(super) fn look(&mut self, ask: &Ask) -> Verdict {
        let exchange = ask.exchange(self.now, self.number);
        self.number += 1;
        let endpoint = ask
            .template
            .map(|template| EndpointId(hash_all([ask.method, template])));
        self.conclude(&exchange, endpoint, ask.template)
    }

    fn conclude(
        &mut self,
        exchange: &Exchange,
        endpoint: Option<EndpointId>,
        template: Option<&str>,
    ) -> Verdict {
        let seen = Seen {
            id: None,
            exchange,
            workload: &self.workload,
            caller: None,
            client: None,
            endpoint,
            template,
            is_new: false,
        };
        self.analysis.exchange(&seen).verdict
    }

    fn usual(&mut self, ask: &Ask) {
        let verdict = self.look(ask);
        if verdict == Verdict::Incident {
            self.normal
                .push((format!("{} {}", ask.method, ask.target), verdict));
        }
    }

    /// What a customer does in one visit.
    fn visit(&mut self, user: u64) {
        let latency = 4 + self.random(9);
        let login = ask("POST", "/v1/login", "/v1/login")
            .from(home(user))
            .body(format!(
                "{{\"username\":\"user{user}\",\"password\":\"secret{user}\"}}"
            ))
            .latency_ms(40 + latency)
            .answer(format!("{{\"token\":\"t{user}\"}}"));
        let failed = login.clone().status(401).answer("{\"error\":\"no\"}");
        if self.random(12) == 0 {
            self.usual(&failed);
        }
        self.usual(&login);
        let page = 10 + 10 * self.random(4);
        let list = ask(
            "GET",
            "/v1/products",
            format!("/v1/products?limit={page}&sort=price"),
        );
        self.usual(&list.by(user).latency_ms(latency).length(2000 + 40 * page));
        for _ in 0..2 {
            let product = self.random(300);
            let one = ask(
                "GET",
                "/v1/products/{productId}",
                format!("/v1/products/{product}"),
            );
            let answer = format!("{{\"id\":{product},\"name\":\"thing\",\"price\":10}}");
            self.usual(&one.by(user).latency_ms(latency).answer(answer));
        }
        let more = if self.is_deployed {
            ",\"nickname\":\"nick\""
        } else {
            ""
        };
        let profile = ask("GET", "/v1/users/{userId}", format!("/v1/users/{}", 100 + user));
        let answer = format!(
            "{{\"id\":{},\"name\":\"name{user}\",\"role\":\"customer\"{more}}}",
            100 + user
        );
        self.usual(&profile.by(user).latency_ms(latency).answer(answer.clone()));
        let change = ask("PATCH", "/v1/users/{userId}", format!("/v1/users/{}", 100 + user));
        let body = format!(
            "{{\"name\":\"name{user}\",\"city\":\"c{}\"{more}}}",
            self.random(90)
        );
        self.usual(&change.by(user).latency_ms(latency).body(body).answer(answer));
        let order = 5000 + user * 10 + self.random(4);
        let one = ask("GET", "/v1/orders/{orderId}", format!("/v1/orders/{order}"));
        let answer = format!("{{\"id\":{order},\"total\":{}}}", self.random(100));
        self.usual(&one.by(user).latency_ms(latency).answer(answer));
        for (template, length) in [
            ("/v1/cart", 90),
            ("/v1/checkout", 150),
            ("/v1/checkout/confirm", 60),
        ] {
            let step = ask("POST", template, template).by(user).length(length);
            self.usual(
                &step
                    .latency_ms(latency)
                    .body("{\"cart\":1,\"note\":\"select a nice one, please\"}"),
            );
        }
        let search = ask("GET", "/v1/search", "/v1/search?q=select+union+jacket").by(user);
        let length = 400 + self.random(300);
        self.usual(&search.latency_ms(latency).length(length));
        let query = "{\"query\":\"query A { cart { items { name } } }\"}";
        self.usual(
            &ask("POST", "/graphql", "/graphql")
                .by(user)
                .body(query)
                .latency_ms(latency)
                .length(300),
        );
        self.call_out("img.example.test", [198, 51, 100, 7]);
        let preview = ask("POST", "/v1/preview", "/v1/preview").by(user);
        self.usual(
            &preview
                .body(format!("{{\"url\":\"https://img.example.test/{user}.png\"}}"))
                .latency_ms(latency),
        );
        if user < 3 {
            let admin = ask("GET", "/v1/admin/users", "/v1/admin/users?page=1").by(90 + user);
            (0..6).for_each(|_| self.usual(&admin.clone().latency_ms(latency).length(900)));
        }
        if user == 5 {
            // The batch job: an account of its own walks through all orders.
            for order in 0..30 {
                let one = ask(
                    "GET",
                    "/v1/orders/{orderId}",
                    format!("/v1/orders/{}", 5000 + order * 4),
                );
                let answer = format!("{{\"id\":{},\"total\":9}}", 5000 + order * 4);
                self.usual(&one.by(80).agent("batch/1").latency_ms(latency).answer(answer));
            }
        }
    }
}
