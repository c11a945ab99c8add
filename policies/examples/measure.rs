use keysvc_policies::*;
use std::time::Instant;
fn main() {
    let set = PolicySet::shipped().unwrap();
    let caps = vec!["a".to_owned()];
    let who = |kind| PrincipalFacts { id: "t-1", kind, organisation: "shop", department: "tills", capabilities: &caps };
    let update = Question { principal: who("terminal"), action: "value.update",
        resource: ResourceFacts::Programme { name: "gift", organisation: "shop", currency: 978 },
        context: ContextFacts::ValueUpdate { operation: "load", amount: 5000, no_card_session: true, passive_tag: false, development: true } };
    let derive = Question { principal: who("station"), action: "card.derive", resource: ResourceFacts::Profile { name: "fob" }, context: ContextFacts::CardDerive { cards: 1, slots: 3, development: true } };
    let status = Question { principal: who("station"), action: "status", resource: ResourceFacts::Service, context: ContextFacts::None };
    for (name, q) in [("value.update", update), ("card.derive", derive), ("status", status)] {
        assert_eq!(set.decide(&q).unwrap(), Decision::Allow);
        let mut best = f64::MAX;
        for _ in 0..7 {
            let n = 20000;
            let t = Instant::now();
            for _ in 0..n { let _ = std::hint::black_box(set.decide(std::hint::black_box(&q)).unwrap()); }
            best = best.min(t.elapsed().as_secs_f64() * 1e6 / n as f64);
        }
        println!("{name} {best:.2} us");
    }
}
