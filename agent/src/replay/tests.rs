//! An API that nobody has seen before, used by its users for a minute, and attacked right after.

use smallvec::smallvec;

use super::*;
use crate::{
    analysis::settings::Gate,
    exchange::{Credential, TokenAlgorithm, TokenFacts},
    inventory::fixture::{Call, call},
};

/// Users who come one after the other, a second apart.
const USERS: u64 = 80;

/// An API in the hands of its users.
struct Young {
    replay: Replay,
    second: u64,
}

impl Young {
    /// Baselines are believed after seconds: what is tried is what can be known by then.
    fn used() -> Self {
        let mut replay = Replay::new(&Options::default());
        replay.configure(Settings {
            gate: Gate {
                time: Duration::from_secs(1),
                requests: 20,
                sources: 3,
                hours: 1,
            },
            ..Settings::default()
        });
        let mut young = Self { replay, second: 0 };
        for user in 0..USERS {
            young.visit(user);
        }
        young
    }

    fn visit(&mut self, user: u64) {
        self.second += 1;
        let name = format!("user{user}x");
        let account = format!(r#"{{"username":"{name}","password":"pw-{name}"}}"#);
        let register = call("POST", "/users/v1/register").body("application/json", &account);
        self.stranger(register.answer(r#"{"status":"success","message":"Successfully registered."}"#));
        let login = call("POST", "/users/v1/login").body("application/json", &account);
        self.stranger(
            login.answer(r#"{"status":"success","message":"Successfully logged in.","auth_token":"t"}"#),
        );
        let me = format!(
            r#"{{"status":"success","data":{{"username":"{name}","email":"{name}@mail.test","admin":false}}}}"#
        );
        self.ask(user, call("GET", "/me").answer(&me));
        let answer = format!(r#"{{"username":"{name}","email":"{name}@mail.test"}}"#);
        self.stranger(call("GET", &format!("/users/v1/{name}")).answer(&answer));
        let title = format!(r#"{{"book_title":"a-book-of-{name}","secret":"it ends well"}}"#);
        let add = call("POST", "/books/v1").body("application/json", &title);
        self.ask(
            user,
            add.answer(r#"{"status":"success","message":"Book has been added."}"#),
        );
        self.ask(user, book(&name));
        let mail = format!(r#"{{"email":"{name}@mail.org"}}"#);
        let change = call("PUT", &format!("/users/v1/{name}/email")).status(204);
        self.ask(user, change.body("application/json", &mail));
        self.ask(user, password(&name, "mine"));
        if user.is_multiple_of(2) {
            let row = r#"{"username":"name1","email":"name1@mail.test"}"#;
            self.stranger(call("GET", "/users/v1").answer(&format!(r#"{{"users":[{row},{row}]}}"#)));
            let row = r#"{"book_title":"bookTitle-name1","user":"name1"}"#;
            self.stranger(call("GET", "/books/v1").answer(&format!(r#"{{"Books":[{row},{row}]}}"#)));
        }
    }

    /// A user with a token that says so asks for something.
    fn ask(&mut self, user: u64, call: Call) {
        let client = [10, 0, (user >> 8) as u8, user as u8].into();
        let mut exchange = call
            .second(self.second)
            .from(Address::Ip(client, 50_000))
            .exchange();
        if let Some(request) = &mut exchange.request {
            request.credentials = smallvec![Credential {
                location: CredentialLocation::Header("authorization".into()),
                scheme: "bearer",
                fingerprint: 1000 + user,
                token: Some(Box::new(TokenFacts {
                    algorithm: TokenAlgorithm::Other,
                    expires: None,
                    issued: None,
                    holder: Some(user),
                    names: smallvec![TokenFacts::name_of(format!("user{user}x").as_bytes())],
                    has_guessable_key: false,
                    brings_key: false,
                    is_sensitive: false,
                })),
            }];
        }
        self.replay.observe(&exchange, None);
    }

    /// Somebody else each second asks for something without a token.
    fn stranger(&mut self, call: Call) {
        let address = Address::Ip([10, 0, 1, self.second as u8].into(), 50_000);
        let exchange = call.second(self.second).from(address).exchange();
        self.replay.observe(&exchange, None);
    }

    /// Incidents: class and endpoint, in order.
    fn incidents(&self) -> Vec<String> {
        let alerts = self.replay.analysis.alerts();
        let mut lines: Vec<String> = alerts
            .iter()
            .map(|alert| {
                format!(
                    "{} {}",
                    alert.class,
                    alert.endpoint_name.as_deref().unwrap_or("?")
                )
            })
            .collect();
        lines.sort();
        lines
    }
}

fn book(owner: &str) -> Call {
    call("GET", &format!("/books/v1/a-book-of-{owner}")).answer(&format!(
        r#"{{"book_title":"a-book-of-{owner}","secret":"it ends well","owner":"{owner}"}}"#
    ))
}

fn password(of: &str, word: &str) -> Call {
    call("PUT", &format!("/users/v1/{of}/password"))
        .body("application/json", &format!(r#"{{"password":"{word}"}}"#))
        .status(204)
}

#[test]
fn names_are_known_for_parameters_when_the_first_attack_comes() {
    let mut young = Young::used();
    assert_eq!(young.incidents(), Vec::<String>::new());
    let mallory = 250;
    young.stranger(call("GET", "/users/v1/nobody%27%20OR%20%271%27=%271"));
    young.ask(mallory, book("user7x"));
    young.ask(mallory, password("user7x", "taken"));
    assert_eq!(
        young.incidents(),
        [
            "bola GET /books/v1/{bookName}",
            "bola PUT /users/v1/{userName}/password",
            "sqli GET /users/v1/{userName}",
        ]
    );
    // And then its users again.
    young.visit(3);
    young.visit(USERS);
    assert_eq!(young.incidents().len(), 3);
}
