//! The sentences in which a founding file is shown before it is signed. Pure.
//!
//! Built from the very values that are signed, and taking each structure apart by all its fields: a field that is
//! new in the file cannot stay unsaid, because this file would no longer compile.

use crate::{
    money,
    shown::{file_digest, key_digest},
};
use keysvc_client::protocol::{
    founding::{
        CardSession, DESTROY_DELAY_S_MIN, Delays, FoundedKey, FoundedKind, Founding, GoldenVector, InputPart,
        Officer, P256Text, Principal, Profile, Programme, ROSTER_DELAY_S_MIN, Scheme, Slot, ValueRules,
    },
    hash::sha256,
    name::Name,
};

/// What a founding file says, in sentences, a line each.
pub(crate) fn sentences(founding: &Founding) -> String {
    let Founding {
        trust_domain,
        ca,
        policy,
        development,
        delays,
        officers,
        principals,
        programmes,
        profiles,
        keys,
    } = founding;
    let mut lines = vec![format!("This founds the trust domain {trust_domain}.")];
    if *development {
        lines.push("DEVELOPMENT: keys with a known value are allowed; it is not for real cards.".into());
    } else {
        lines.push("It is for production: no key has a known value.".into());
    }
    lines.push(format!("The site CA's certificate has a SHA-256 that begins {}.", file_digest(ca)));
    lines.push(format!("The policies in force have a digest that begins {}.", file_digest(policy)));
    lines.extend(delay_lines(*delays));
    section(&mut lines, "Officers, each of whom signs this file", officers.iter().map(officer));
    section(&mut lines, "Principals", principals.iter().map(principal));
    section(&mut lines, "Programmes", programmes.iter().map(programme));
    section(&mut lines, "Card profiles", profiles.iter().flat_map(profile_lines));
    section(&mut lines, "Keys to be made, beside the service's own", keys.iter().map(key));
    lines.join("\n")
}

fn section(lines: &mut Vec<String>, title: &str, items: impl Iterator<Item = String>) {
    let items: Vec<_> = items.map(|item| format!("  {item}")).collect();
    let end = if items.is_empty() { ": none." } else { ":" };
    lines.extend([String::new(), format!("{title}{end}")]);
    lines.extend(items);
}

fn delay_lines(delays: Delays) -> [String; 2] {
    let Delays { roster_s, destroy_s } = delays;
    let line = |what: &str, delay_s: u64, shortest_s: u64| {
        let short = if delay_s < shortest_s { "DEVELOPMENT only, a short delay: " } else { "" };
        format!("{short}{what} only after {}; until then any one officer may cancel it.", duration(delay_s))
    };
    [
        line("A change of officers or thresholds takes effect", roster_s, ROSTER_DELAY_S_MIN),
        line("A key whose destruction is decided is destroyed", destroy_s, DESTROY_DELAY_S_MIN),
    ]
}

/// A time in the greatest unit that says it exactly; a day alone is said as 24 hours.
fn duration(seconds: u64) -> String {
    const MINUTE_S: u64 = 60;
    const HOUR_S: u64 = 60 * MINUTE_S;
    const DAY_S: u64 = 24 * HOUR_S;
    let whole = |unit_s: u64| seconds.checked_div(unit_s).filter(|_| seconds.is_multiple_of(unit_s));
    match (whole(DAY_S), whole(HOUR_S), whole(MINUTE_S)) {
        (Some(days @ 2..), _, _) => format!("{days} days"),
        (_, Some(hours @ 1..), _) => format!("{hours} h"),
        (_, _, Some(minutes @ 1..)) => format!("{minutes} min"),
        _ => format!("{seconds} s"),
    }
}

fn officer(officer: &Officer) -> String {
    let Officer { name, department, tls_key, approval_key } = officer;
    format!(
        "{name}, department {department}: approval key {}, TLS key {}.",
        key_digest(&approval_key.p256().digest()),
        key_digest(tls_key)
    )
}

fn principal(principal: &Principal) -> String {
    let Principal { id, kind, organisation, capabilities, tls_key, statement_key, wrapping_key } = principal;
    let digest = |key: &P256Text| key_digest(&key.p256().digest());
    let statement =
        statement_key.as_ref().map_or_else(String::new, |key| format!(", statement key {}", digest(key)));
    let wrapping = wrapping_key
        .as_ref()
        .map_or_else(String::new, |key| format!(", wrapping key {}", key_digest(&sha256(&[key.as_der()]))));
    let also = if capabilities.is_empty() {
        String::new()
    } else {
        format!("; it also has {}", list(capabilities.iter().map(Name::as_str)))
    };
    format!("{id}, {kind} of {organisation}: TLS key {}{statement}{wrapping}{also}.", key_digest(tls_key))
}

fn programme(programme: &Programme) -> String {
    let Programme { name, organisation, currency, profile, value_key } = programme;
    let currency = money::Currency::of(*currency)
        .map_or_else(|_| format!("the unlisted currency {currency:03}"), |currency| currency.to_string());
    format!(
        "{name}: value in {currency} that terminals of {organisation} load and debit, on cards of profile {profile}, \
         signed with {value_key}."
    )
}

/// What a card profile says, a line for each slot, golden vector and rule.
pub(crate) fn profile_lines(profile: &Profile) -> Vec<String> {
    let Profile {
        name,
        version,
        family,
        scheme,
        input,
        system_identifier,
        slots,
        functions,
        pipeline,
        unit_cost,
        vectors,
        value,
    } = profile;
    let scheme = match scheme {
        Scheme::An10922Aes128 => "NXP AN10922 with AES-128",
    };
    let mut lines = vec![format!(
        "{name} version {version}, for {family} cards: {}. {scheme} over {}, with the system identifier \
         {system_identifier}.",
        list(functions.iter().map(|function| function.name())),
        list(input.iter().copied().map(input_part))
    )];
    lines.extend(slots.iter().map(|slot| format!("  {}", slot_text(slot))));
    lines.extend(vectors.iter().map(|vector| format!("  {}", vector_text(vector))));
    lines.push(format!("  {}", making_text(*pipeline, *unit_cost)));
    let rules = value.as_ref().map(rules_text);
    lines.push(format!("  {}", rules.as_deref().unwrap_or("Its cards hold no value.")));
    lines
}

const fn input_part(part: InputPart) -> &'static str {
    match part {
        InputPart::Uid => "the card's UID",
        InputPart::Application => "the application",
        InputPart::KeyNumber => "the key number",
        InputPart::KeyVersion => "the key version",
        InputPart::SystemIdentifier => "the system identifier",
    }
}

fn slot_text(slot: &Slot) -> String {
    let Slot { slot, key, key_version, key_number, application } = slot;
    format!("Slot {slot}: key {key} version {key_version}, as key {key_number} of application {application}.")
}

fn vector_text(vector: &GoldenVector) -> String {
    let GoldenVector { slot, card, check_value } = vector;
    format!("The key of slot {slot} of card {card} must have the check value {check_value}.")
}

/// How a station works with it, and what a card costs where that is said.
fn making_text(pipeline: u16, unit_cost: u32) -> String {
    let hand = match pipeline {
        1 => "one card is".to_owned(),
        several => format!("{several} cards are"),
    };
    let cost = match unit_cost {
        0 => "what a card costs is not said".to_owned(),
        cost => format!("a card costs {cost} minor units of the site's money"),
    };
    format!("In a job at most {hand} without a result at a time; {cost}.")
}

fn rules_text(rules: &ValueRules) -> String {
    let ValueRules { purses, currency, reloadable, one_time, ceiling, load_max, debit_max, card_session } =
        rules;
    let amount = |minor: &u64| money::shown(*minor, *currency);
    let again = match (reloadable, one_time) {
        (true, _) => "reloadable",
        (false, true) => "loaded once, and the card is taken back when it is empty",
        (false, false) => "loaded once",
    };
    let session = match card_session {
        CardSession::PassiveTag => "the card is a passive tag without sessions",
        CardSession::Expected => "updates need a session with the card",
    };
    let purses: Vec<_> = purses.iter().map(ToString::to_string).collect();
    format!(
        "Value in purse {}, {again}: at most {} on a card, {} in one load, {} in one debit; {session}.",
        list(purses.iter().map(String::as_str)),
        amount(ceiling),
        amount(load_max),
        amount(debit_max),
    )
}

fn key(key: &FoundedKey) -> String {
    let FoundedKey { name, kind, value } = key;
    let kind = match kind {
        FoundedKind::CardMaster => "card master key",
        FoundedKind::ValueSigning => "value signing key",
    };
    match value {
        Some(_) => {
            format!("{name}: {kind}, TEST KEY: its value stands in the file, and everyone may know it.")
        }
        None => format!("{name}: {kind}, made in the token."),
    }
}

fn list<'a>(items: impl Iterator<Item = &'a str>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn everything_a_founding_file_decides_is_said() {
        let founding = sample::founding();
        let text = sentences(&founding);
        let approval = key_digest(&founding.officers[0].approval_key.p256().digest());
        let said = [
            "This founds the trust domain demo.test.".to_owned(),
            "SHA-256 that begins 0011 2233 4455 6677 8899 aabb ccdd eeff.".to_owned(),
            "a digest that begins ffee ddcc bbaa 9988 7766 5544 3322 1100.".to_owned(),
            "A change of officers or thresholds takes effect only after 24 h; until then any one officer may cancel it."
                .to_owned(),
            "A key whose destruction is decided is destroyed only after 7 days; until then any one officer may cancel \
             it."
                .to_owned(),
            format!("  alice, department security: approval key {approval}, TLS key 0101 0101 0101 0101."),
            "  station-1, station of maker: TLS key 0303 0303 0303 0303, statement key ".to_owned(),
            ", wrapping key ".to_owned(),
            "; it also has value-load.".to_owned(),
            "  auditor-1, auditor of auditors: TLS key 0505 0505 0505 0505.".to_owned(),
            "  coffee: value in EUR (978) that terminals of coffee-shops load and debit, on cards of profile fob, \
             signed with coffee-value."
                .to_owned(),
            "  fob version 1, for desfire-ev2 cards: stored-value. NXP AN10922 with AES-128 over the card's UID, the application, the system identifier, \
             with the system identifier 4e585020416275."
                .to_owned(),
            "    Slot 0: key demo-known version 1, as key 2 of application 3042f5.".to_owned(),
            "    In a job at most 8 cards are without a result at a time; what a card costs is not said.".to_owned(),
            "    Value in purse 1, reloadable: at most 150.00 EUR on a card, 100.00 EUR in one load, 50.00 EUR in one debit; \
             the card is a passive tag without sessions."
                .to_owned(),
            "  demo-known: card master key, TEST KEY: ".to_owned(),
            "  coffee-value: value signing key, made in the token.".to_owned(),
        ];
        for sentence in said {
            assert!(text.contains(&sentence), "missing: {sentence}\n{text}");
        }
    }

    #[test]
    fn development_is_warned_of_and_production_is_said() {
        let mut founding = sample::founding();
        assert!(sentences(&founding).contains("\nDEVELOPMENT: "));
        founding.development = false;
        let text = sentences(&founding);
        assert!(!text.contains("DEVELOPMENT"), "{text}");
        assert!(text.contains("It is for production"), "{text}");
    }

    #[test]
    fn a_short_delay_is_marked_as_development_only() {
        let delays = Delays { roster_s: 3, destroy_s: 4 };
        let text = sentences(&Founding { delays, ..sample::founding() });
        for short in [
            "\nDEVELOPMENT only, a short delay: A change of officers or thresholds takes effect only after 3 s; ",
            "\nDEVELOPMENT only, a short delay: A key whose destruction is decided is destroyed only after 4 s; ",
        ] {
            assert!(text.contains(short), "{text}");
        }
        assert!(!sentences(&sample::founding()).contains("short delay"));
    }

    #[test]
    fn a_time_is_said_in_the_greatest_unit_that_says_it_exactly() {
        for (seconds, said) in [
            (0, "0 s"),
            (3, "3 s"),
            (61, "61 s"),
            (120, "2 min"),
            (3_600, "1 h"),
            (86_400, "24 h"),
            (129_600, "36 h"),
            (172_800, "2 days"),
            (604_800, "7 days"),
            (604_801, "604801 s"),
            (31_622_400, "366 days"),
        ] {
            assert_eq!(duration(seconds), said);
        }
    }

    #[test]
    fn an_empty_list_is_said_to_be_empty() {
        let founding = Founding { principals: Vec::new(), programmes: Vec::new(), ..sample::founding() };
        let text = sentences(&founding);
        assert!(text.contains("\nPrincipals: none.\n"), "{text}");
        assert!(text.contains("at most 150.00 EUR on a card"), "{text}");
    }

    #[test]
    fn a_known_keys_value_is_not_repeated() {
        assert!(!sentences(&sample::founding()).contains("00112233445566778899aabbccddeeff"));
    }
}
