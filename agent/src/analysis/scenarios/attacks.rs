//! Attacks.

use super::{
    Expect::{Anomaly, Incident},
    Scenario, check_all,
    kit::{Ask, World, ask, home},
    scenario,
};
use crate::{analysis::AgentEvent, clock::Timestamp, exchange::Completeness};

#[test]
fn attacks_are_found() {
    check_all(SCENARIOS);
}

fn order(id: u64) -> Ask {
    ask("GET", "/v1/orders/{orderId}", format!("/v1/orders/{id}"))
        .answer(format!("{{\"id\":{id},\"total\":5}}"))
}

fn login(user: &str, password: &str) -> Ask {
    ask("POST", "/v1/login", "/v1/login")
        .body(format!("{{\"username\":\"{user}\",\"password\":\"{password}\"}}"))
        .status(401)
        .answer("{\"error\":\"no\"}")
}

fn welcome(user: &str, password: &str) -> Ask {
    login(user, password).status(200).answer("{\"token\":\"t\"}")
}

fn missing(path: &str) -> Ask {
    ask("GET", "", path).absent().agent("curl/8.5")
}

fn stuffing(world: &mut World) {
    for at in 0..40 {
        world.then(
            3,
            &login(&format!("victim{at}"), &format!("leaked{at}")).from([203, 0, 113, 9]),
        );
    }
}

fn spraying(world: &mut World) {
    for at in 0..20 {
        let source = [203, 0, at, 9];
        world.then(20, &login(&format!("victim{at}"), "Summer2026").from(source));
    }
}

fn brute_force(world: &mut World) {
    for at in 0..30 {
        world.then(2, &login("user4", &format!("guess{at}")).from([203, 0, 113, 9]));
    }
}

fn scan(world: &mut World) {
    for at in 0..60 {
        world.then(
            1,
            &missing(&format!("/old/backup{at}.zip")).from([203, 0, 113, 66]),
        );
    }
}

fn profile(id: u64) -> Ask {
    ask("GET", "/v1/users/{userId}", format!("/v1/users/{id}"))
        .answer(format!("{{\"id\":{id},\"name\":\"x\",\"role\":\"customer\"}}"))
}

pub(super) const SCENARIOS: &[Scenario] = &[
    scenario(
        "the profile of somebody new, by a token that names another",
        Incident(&["bola"], 1),
        |world| {
            world.then(60, &profile(977).by(3));
        },
    ),
    scenario(
        "a renewed token that names another",
        Incident(&["bola"], 1),
        |world| {
            world.then(60, &profile(978).token(77_001).claim(103).from(home(3)));
        },
    ),
    scenario(
        "a value that makes the server think",
        Incident(&["redos"], 1),
        |world| {
            let value = "a".repeat(40);
            let search = ask("GET", "/v1/search", format!("/v1/search?q={value}!")).by(3);
            world.then(60, &search.length(450).latency_ms(8_000));
        },
    ),
    scenario(
        "a login that wants to be an administrator",
        Incident(&["mass_assignment"], 1),
        |world| {
            let body = "{\"username\":\"eve\",\"password\":\"x\",\"role\":\"admin\"}";
            world.then(60, &welcome("eve", "x").body(body).from(home(3)));
        },
    ),
    scenario(
        "ids walked through one by one",
        Incident(&["bola", "id_enumeration"], 45),
        |world| {
            for id in 0..60 {
                world.then(2, &order(5200 + id).by(3));
            }
        },
    ),
    scenario("an order of somebody else", Incident(&["bola"], 2), |world| {
        world.then(60, &order(5070).by(3));
        world.then(60, &order(5071).by(3));
    }),
    scenario("ids guessed, all absent", Incident(&["probing"], 30), |world| {
        for id in 0..60 {
            world.then(2, &order(9000 + id * 7).by(6).status(404));
        }
    }),
    scenario(
        "ids guessed, some there",
        Incident(&["id_enumeration", "scan_hit", "bola"], 40),
        |world| {
            for id in 0..60 {
                let status = if id % 10 == 9 { 200 } else { 404 };
                world.then(2, &order(9000 + id * 7).by(6).status(status));
            }
        },
    ),
    scenario(
        "scraping, low and slow",
        Incident(&["object_scraping", "id_enumeration"], 150),
        |world| {
            for id in 0..170 {
                let one = ask(
                    "GET",
                    "/v1/products/{productId}",
                    format!("/v1/products/{}", id * 3),
                );
                world.then(180, &one.by(70));
            }
        },
    ),
    scenario(
        "stuffing without success",
        Anomaly("credential_stuffing"),
        stuffing,
    ),
    scenario(
        "stuffing with a success",
        Incident(&["account_takeover"], 41),
        |world| {
            stuffing(world);
            world.then(3, &welcome("victim41", "leaked41").from([203, 0, 113, 9]));
        },
    ),
    scenario(
        "stuffing that is answered with 200",
        Anomaly("credential_stuffing"),
        |world| {
            for at in 0..40 {
                let failed = login(&format!("victim{at}"), &format!("leaked{at}")).status(200);
                let said = failed.answer("{\"status\":\"fail\",\"message\":\"wrong\"}");
                world.then(3, &said.from([203, 0, 113, 9]));
            }
        },
    ),
    scenario(
        "stuffing with basic authentication",
        Anomaly("credential_stuffing"),
        |world| {
            for at in 0..40 {
                let mut basic = ask("GET", "/v1/cart", "/v1/cart").token(7000 + at).status(401);
                basic.basic = true;
                world.then(3, &basic.from([203, 0, 113, 9]));
            }
        },
    ),
    scenario("spraying without success", Anomaly("password_spraying"), spraying),
    scenario(
        "spraying with a success",
        Incident(&["account_takeover"], 21),
        |world| {
            spraying(world);
            world.then(20, &welcome("victim21", "Summer2026").from([203, 0, 99, 9]));
        },
    ),
    scenario("brute force without success", Anomaly("brute_force"), brute_force),
    scenario(
        "brute force with a success",
        Incident(&["account_takeover"], 31),
        |world| {
            brute_force(world);
            world.then(2, &welcome("user4", "guess31").from([203, 0, 113, 9]));
        },
    ),
    scenario(
        "a customer in the administration",
        Incident(&["bfla"], 1),
        |world| {
            world.then(
                60,
                &ask("GET", "/v1/admin/users", "/v1/admin/users?page=1")
                    .by(3)
                    .length(900),
            );
        },
    ),
    scenario(
        "a property set that is not theirs",
        Incident(&["mass_assignment"], 1),
        |world| {
            let change = ask("PATCH", "/v1/users/{userId}", "/v1/users/104").by(4);
            let answer = "{\"id\":104,\"name\":\"name4\",\"role\":\"admin\"}";
            world.then(
                60,
                &change
                    .body("{\"name\":\"name4\",\"role\":\"admin\"}")
                    .answer(answer),
            );
        },
    ),
    scenario("a property set in vain", Anomaly("mass_assignment"), |world| {
        let change = ask("PATCH", "/v1/users/{userId}", "/v1/users/104").by(4);
        let answer = "{\"id\":104,\"name\":\"name4\",\"role\":\"customer\"}";
        world.then(
            60,
            &change
                .body("{\"name\":\"name4\",\"role\":\"admin\"}")
                .answer(answer),
        );
    }),
    scenario("a stolen token", Incident(&["token_theft"], 12), |world| {
        for _ in 0..6 {
            let cart = ask("POST", "/v1/cart", "/v1/cart").by(3).length(90);
            world.then(20, &cart);
            world.then(20, &cart.from([203, 0, 113, 77]).agent("python-requests/2.31"));
        }
    }),
    scenario(
        "no credential where all have one",
        Incident(&["unauthenticated_access"], 1),
        |world| {
            world.then(
                60,
                &ask("GET", "/v1/users/{userId}", "/v1/users/105").from(home(5)),
            );
        },
    ),
    scenario("a scan that finds nothing", Incident(&["probing"], 30), scan),
    scenario(
        "a scan that finds something",
        Incident(&["scan_hit"], 61),
        |world| {
            scan(world);
            let found = ask("GET", "/backup.zip", "/backup.zip")
                .from([203, 0, 113, 66])
                .length(900_000);
            world.then(1, &found);
        },
    ),
    scenario("SQL that is answered", Incident(&["sqli"], 1), |world| {
        let target = "/v1/search?q=x%27%20UNION%20SELECT%20username,password%20FROM%20users--%20";
        world.then(60, &ask("GET", "/v1/search", target).by(3).length(500));
    }),
    scenario("SQL that is refused", Anomaly("sqli"), |world| {
        let target = "/v1/search?q=x%27%20UNION%20SELECT%20username,password%20FROM%20users--%20";
        world.then(60, &ask("GET", "/v1/search", target).by(3).status(403));
    }),
    scenario("SQL without an answer", Anomaly("sqli"), |world| {
        let target = "/v1/search?q=x%27%20UNION%20SELECT%20username,password%20FROM%20users--%20";
        let mut lost = ask("GET", "/v1/search", target).by(3);
        lost.completeness = Completeness::NoResponse;
        world.then(60, &lost);
    }),
    scenario(
        "a path that leaves the tree",
        Incident(&["path_traversal"], 1),
        |world| {
            let target = "/v1/search?q=..%2f..%2f..%2f..%2fetc%2fpasswd";
            world.then(60, &ask("GET", "/v1/search", target).by(3).length(1_800));
        },
    ),
    scenario(
        "a batch of a thousand queries",
        Incident(&["batch"], 1),
        |world| {
            let one = "{\"query\":\"query A { cart { items { name } } }\"}";
            let body = format!("[{}]", vec![one; 1000].join(","));
            world.then(
                60,
                &ask("POST", "/graphql", "/graphql")
                    .by(3)
                    .body(body)
                    .latency_ms(900),
            );
        },
    ),
    scenario(
        "a query of great depth",
        Incident(&["graphql_depth"], 1),
        |world| {
            let query = format!("query A {{ {} x {} }}", "a { ".repeat(45), "} ".repeat(45));
            let body = format!("{{\"query\":\"{query}\"}}");
            world.then(
                60,
                &ask("POST", "/graphql", "/graphql").by(3).body(body).length(300),
            );
        },
    ),
    scenario(
        "a login under a hundred names",
        Incident(&["graphql_aliases"], 1),
        |world| {
            let logins: String = (0..100)
                .map(|at| format!("a{at}: login(pin: {at}) {{ token }} "))
                .collect();
            let body = format!("{{\"query\":\"mutation A {{ {logins} }}\"}}");
            world.then(
                60,
                &ask("POST", "/graphql", "/graphql").by(3).body(body).length(300),
            );
        },
    ),
    scenario(
        "a body that keeps the server busy",
        Incident(&["body_size"], 1),
        |world| {
            let body = format!("{{\"name\":\"{}\"}}", "all and more ".repeat(40_000));
            let change = ask("PATCH", "/v1/users/{userId}", "/v1/users/103").by(3);
            let answer = "{\"id\":103,\"name\":\"all\",\"role\":\"customer\"}";
            world.then(60, &change.body(body).answer(answer).latency_ms(9_000));
        },
    ),
    scenario("a page of everything", Incident(&["page_size"], 1), |world| {
        let all = ask("GET", "/v1/products", "/v1/products?limit=100000&sort=price").by(3);
        world.then(60, &all.length(40_000_000));
    }),
    scenario(
        "the shop is sent to its own metadata",
        Incident(&["ssrf_internal", "ssrf"], 1),
        |world| {
            world.pass(60);
            world.call_out("169.254.169.254", [169, 254, 169, 254]);
            let body = "{\"url\":\"http://169.254.169.254/latest/meta-data/\"}";
            world.then(0, &ask("POST", "/v1/preview", "/v1/preview").by(3).body(body));
        },
    ),
    scenario("a step left out", Anomaly("step_skipped"), |world| {
        world.then(
            60,
            &ask("GET", "/v1/search", "/v1/search?q=shoe").by(50).length(450),
        );
        world.then(
            5,
            &ask("POST", "/v1/checkout/confirm", "/v1/checkout/confirm")
                .by(50)
                .length(60),
        );
    }),
    scenario(
        "sensitive data in answers that had none",
        Anomaly("sensitive_data_new"),
        |world| {
            for _ in 0..40 {
                let answer = "{\"id\":104,\"name\":\"name4\",\"role\":\"customer\",\"ssn\":\"536-90-4399\"}";
                let profile = ask("GET", "/v1/users/{userId}", "/v1/users/104")
                    .by(4)
                    .answer(answer);
                world.then(10, &profile);
            }
        },
    ),
    scenario(
        "the programs of the agent are detached",
        Incident(&["probes_detached"], 1),
        |world| {
            let now = Timestamp((1_700_000_000 + world.now) * 1_000_000_000);
            world
                .analysis
                .agent(AgentEvent::ProbesDetached { programs: 2 }, now);
            world.special.push(crate::verdict::Verdict::Incident);
        },
    ),
];
