//! The rules, one file each: what it notices in an exchange, and when that makes a finding.

mod bad_jwt;
mod cleartext;
mod cookies;
mod cors;
mod debug;
mod documentation;
mod enumeration;
mod errors;
mod excessive;
mod exposed;
mod internet;
mod old_tls;
mod ownership;
mod rates;
mod shadow;
mod storable;
mod trace;
mod unauthenticated;
mod unauthenticated_sensitive;
mod url;
mod weak_jwt;
mod zombie;

use super::{
    Fact, Message, Posture, Seen, Subject,
    kit::{Evidence, Rule},
    message::Caller,
    subject::gravity,
};

/// Every rule; findings come in this order.
pub(super) const ALL: &[Rule] = &[
    exposed::RULE,
    unauthenticated_sensitive::RULE,
    unauthenticated::RULE,
    bad_jwt::RULE,
    weak_jwt::RULE,
    cleartext::RULE,
    old_tls::RULE,
    url::RULE,
    excessive::RULE,
    errors::RULE,
    cors::RULE,
    debug::RULE,
    documentation::RULE,
    storable::RULE,
    cookies::RULE,
    trace::RULE,
    ownership::RULE,
    rates::RULE,
    enumeration::RULE,
    shadow::RULE,
    zombie::RULE,
    internet::RULE,
];

/// The names of all rules, in the order findings come in.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|rule| rule.name)
}
