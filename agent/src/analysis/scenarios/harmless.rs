//! What is odd and harms nobody.

use super::{
    Expect::{Anomaly, Silence},
    Scenario, check_all,
    kit::{Ask, USERS, ask, home},
    scenario,
};
use crate::exchange::Completeness;

#[test]
fn harmless_oddities_are_no_incidents() {
    check_all(SCENARIOS);
}

fn order(id: u64) -> Ask {
    ask("GET", "/v1/orders/{orderId}", format!("/v1/orders/{id}"))
        .answer(format!("{{\"id\":{id},\"total\":5}}"))
}

fn login(user: u64, status: u16) -> Ask {
    let answer = if status == 200 {
        "{\"token\":\"t\"}"
    } else {
        "{\"error\":\"no\"}"
    };
    ask("POST", "/v1/login", "/v1/login")
        .body(format!(
            "{{\"username\":\"user{user}\",\"password\":\"p{user}\"}}"
        ))
        .status(status)
        .answer(answer)
}

pub(super) const SCENARIOS: &[Scenario] = &[
    scenario("nothing happens", Silence, |world| world.pass(6 * 3600)),
    scenario("the batch job walks through all orders", Silence, |world| {
        for id in 0..150 {
            world.then(2, &order(5000 + id).by(80).agent("batch/1"));
        }
    }),
    scenario(
        "a customer logs in again and has another token",
        Silence,
        |world| {
            for id in 0..4 {
                world.then(60, &order(5040 + id).from(home(4)).token(9004));
            }
        },
    ),
    scenario("a forgotten password", Silence, |world| {
        for _ in 0..4 {
            world.then(5, &login(4, 401).from(home(4)));
        }
        world.then(5, &login(4, 200).from(home(4)));
    }),
    scenario("a client with an old password", Silence, |world| {
        for _ in 0..80 {
            world.then(10, &login(4, 401).from(home(4)));
        }
    }),
    scenario("an office behind one address", Silence, |world| {
        for user in 200..240 {
            if user % 6 == 0 {
                world.then(10, &login(user, 401).from([198, 51, 100, 9]));
            }
            world.then(10, &login(user, 200).from([198, 51, 100, 9]));
        }
    }),
    scenario("a customer is kept out of the administration", Silence, |world| {
        for _ in 0..5 {
            world.then(
                10,
                &ask("GET", "/v1/admin/users", "/v1/admin/users").by(3).status(403),
            );
        }
    }),
    scenario("a new administrator", Silence, |world| {
        for _ in 0..20 {
            world.then(
                60,
                &ask("GET", "/v1/admin/users", "/v1/admin/users?page=1")
                    .by(95)
                    .length(900),
            );
        }
    }),
    scenario("a deploy adds a field", Silence, |world| {
        world.is_deployed = true;
        world.pass(3 * 3600);
        let findings = world.analysis.findings();
        assert!(
            findings.iter().any(|finding| finding.rule == "api_changed"),
            "{findings:?}"
        );
    }),
    scenario("twice as much at a sale", Silence, |world| {
        world.volume = 2;
        world.pass(3 * 3600);
    }),
    scenario("a job at night", Silence, |world| {
        for page in 0..60 {
            let list = ask(
                "GET",
                "/v1/products",
                format!("/v1/products?limit=40&sort=price&x={page}"),
            );
            world.then(1, &list.by(81).agent("cron/1").length(3_600));
        }
    }),
    scenario("one noisy customer", Silence, |world| {
        for at in 0..500 {
            let list = ask("GET", "/v1/products", "/v1/products?limit=20&sort=price");
            world.then(u64::from(at % 2 == 0), &list.by(2).length(2_800));
        }
    }),
    scenario("packets are lost", Silence, |world| {
        for at in 0..200 {
            let mut torn = ask(
                "GET",
                "/v1/users/{userId}",
                format!("/v1/users/{}", 100 + at % USERS),
            );
            torn.completeness = Completeness::Lost;
            world.then(2, &torn.from(home(at % USERS)).answer("{\"id\":1,\"na"));
        }
    }),
    scenario("answers are not seen", Silence, |world| {
        for at in 0..200 {
            let mut lost = ask(
                "GET",
                "/v1/users/{userId}",
                format!("/v1/users/{}", 100 + at % USERS),
            );
            lost.completeness = Completeness::NoResponse;
            world.then(2, &lost.by(at % USERS));
        }
    }),
    scenario("a phone changes networks", Silence, |world| {
        for at in 0..20 {
            let cart = ask("POST", "/v1/cart", "/v1/cart").by(4).length(90);
            let there = if at % 2 == 0 { home(4) } else { [198, 51, 100, 20] };
            world.then(30, &cart.from(there));
        }
    }),
    scenario("a key that several places share", Silence, |world| {
        for at in 0..120 {
            let cart = ask("POST", "/v1/cart", "/v1/cart").token(4_000).length(90);
            world.then(10, &cart.from([198, 51, 100 + (at % 6) as u8, 7]));
        }
    }),
    scenario("words of SQL in a search", Silence, |world| {
        for text in [
            "select+specialty+hospital",
            "having+friends+over",
            "drop+the+table+lamp",
            "rock+%26+roll",
        ] {
            world.then(
                10,
                &ask("GET", "/v1/search", format!("/v1/search?q={text}"))
                    .by(3)
                    .length(450),
            );
        }
    }),
    scenario("a batch of five queries", Silence, |world| {
        let one = "{\"query\":\"query A { cart { items { name } } }\"}";
        let body = format!("[{}]", [one; 5].join(","));
        world.then(
            60,
            &ask("POST", "/graphql", "/graphql").by(3).body(body).length(900),
        );
    }),
    scenario("a larger page", Silence, |world| {
        let page = ask("GET", "/v1/products", "/v1/products?limit=100&sort=price").by(3);
        world.then(60, &page.length(6_000));
    }),
    scenario("a preview of another site", Silence, |world| {
        world.pass(60);
        world.call_out("news.example.test", [198, 51, 100, 80]);
        let body = "{\"url\":\"https://news.example.test/today\"}";
        world.then(0, &ask("POST", "/v1/preview", "/v1/preview").by(3).body(body));
    }),
    scenario("a site named and not called", Silence, |world| {
        let body = "{\"url\":\"https://news.example.test/today\"}";
        world.then(60, &ask("POST", "/v1/preview", "/v1/preview").by(3).body(body));
    }),
    scenario("a new customer", Silence, |world| {
        world.then(60, &login(70, 200).from(home(70)));
        for step in ["/v1/cart", "/v1/checkout", "/v1/checkout/confirm"] {
            world.then(
                20,
                &ask("POST", step, step)
                    .by(70)
                    .length(90)
                    .body("{\"cart\":1,\"note\":\"x\"}"),
            );
        }
        world.then(20, &order(5700).by(70));
    }),
    scenario("a new method", Anomaly("new_endpoint_method"), |world| {
        world.then(
            60,
            &ask("DELETE", "/v1/users/{userId}", "/v1/users/103")
                .by(3)
                .status(204),
        );
    }),
    scenario("a caller who never called", Anomaly("new_caller"), |world| {
        world.then(
            60,
            &ask("GET", "/v1/search", "/v1/search?q=shoe").by(60).length(450),
        );
    }),
    scenario("broken links", Silence, |world| {
        for at in 0..8 {
            world.then(5, &ask("GET", "", format!("/img/old{at}.png")).by(3).absent());
        }
        world.then(
            5,
            &ask("GET", "/v1/search", "/v1/search?q=shoe").by(3).length(450),
        );
    }),
    scenario("a server fails for a while", Silence, |world| {
        for at in 0..300 {
            let failing = ask("GET", "/v1/search", "/v1/search?q=shoe").by(at % USERS);
            world.then(1, &failing.status(503).length(30));
        }
    }),
    scenario("a token is renewed", Silence, |world| {
        for at in 0..5 {
            let own = ask("GET", "/v1/users/{userId}", "/v1/users/103").answer("{\"id\":103}");
            world.then(30, &own.token(78_000 + at).claim(103).from(home(3)));
        }
    }),
    scenario("a large body, answered as ever", Silence, |world| {
        let body = format!("{{\"name\":\"{}\"}}", "all and more ".repeat(40_000));
        let change = ask("PATCH", "/v1/users/{userId}", "/v1/users/103").by(3);
        let answer = "{\"id\":103,\"name\":\"all\",\"role\":\"customer\"}";
        world.then(60, &change.body(body).answer(answer).latency_ms(9));
    }),
    scenario("a slow answer to an ordinary value", Silence, |world| {
        let search = ask("GET", "/v1/search", "/v1/search?q=winter+jacket").by(3);
        world.then(60, &search.length(450).latency_ms(8_000));
    }),
    scenario(
        "a value that repeats itself, answered at once",
        Silence,
        |world| {
            let value = "=-".repeat(20);
            let search = ask("GET", "/v1/search", format!("/v1/search?q={value}")).by(3);
            world.then(60, &search.length(450));
        },
    ),
    scenario("a login says which role it is for", Silence, |world| {
        let body = "{\"username\":\"eve\",\"password\":\"x\",\"role\":\"customer\"}";
        let login = ask("POST", "/v1/login", "/v1/login").body(body).from(home(3));
        world.then(60, &login.answer("{\"token\":\"t\"}"));
    }),
];
