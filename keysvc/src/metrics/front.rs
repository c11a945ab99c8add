//! The front's figures, and the whole text of both halves.

use super::Requests;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _, text},
    metrics::{MetricType, TypedMetric as _, counter::ConstCounter, gauge::ConstGauge, info::Info},
    registry::{Registry, Unit},
};
use std::fmt;

/// A counter as it is at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Its name, without prefix and suffix.
    pub name: &'static str,
    /// What it counts.
    pub help: &'static str,
    /// How much.
    pub value: u64,
}

/// What the front knows when its figures are read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gauges {
    /// Whether the keeper answers.
    pub keeper_up: bool,
    /// Whether the service is ready.
    pub ready: bool,
    /// When the server's certificate ends, seconds since 1970-01-01 UTC.
    pub certificate_not_after_s: i64,
    /// When the first of the revocation lists is due, seconds since 1970-01-01 UTC.
    pub crl_next_update_s: Option<i64>,
    /// How long the front serves, in seconds.
    pub uptime_s: f64,
}

/// The front's figures.
#[derive(Debug)]
pub struct FrontMetrics {
    registry: Registry,
    requests: Requests,
}

impl FrontMetrics {
    /// Figures that begin now. `counts` gives the front's own counters whenever they are read.
    #[must_use]
    pub fn new(counts: impl Fn() -> Vec<Counted> + Send + Sync + 'static) -> Self {
        let mut registry = Registry::with_prefix("keysvc_front");
        let requests = Requests::new(&mut registry);
        registry.register_collector(Box::new(Counters(Box::new(counts))));
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The program's version", version);
        Self { registry, requests }
    }

    /// The recorder of requests.
    #[must_use]
    pub fn requests(&self) -> &Requests {
        &self.requests
    }

    /// The figures of both halves as OpenMetrics text; `keeper` is the keeper's own part, if it answered.
    #[must_use]
    pub fn text(&self, gauges: Gauges, keeper: Option<&str>) -> String {
        let mut out = String::new();
        let mut now = Registry::with_prefix("keysvc_front");
        now.register_collector(Box::new(gauges));
        // Writing to a string cannot fail.
        let _ = text::encode_registry(&mut out, &self.registry);
        let _ = text::encode_registry(&mut out, &now);
        out.push_str(keeper.unwrap_or_default());
        let _ = text::encode_eof(&mut out);
        out
    }
}

/// Reads counters, each with its name, when asked.
struct Counters(Box<dyn Fn() -> Vec<Counted> + Send + Sync>);

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counters(..)")
    }
}

impl Collector for Counters {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for Counted { name, help, value } in (self.0)() {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        Ok(())
    }
}

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut gauge = |name: &str, help: &str, unit: Option<&Unit>, value: f64| {
            let kind = ConstGauge::<f64>::TYPE;
            ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, unit, kind)?)
        };
        let flag = |is: bool| if is { 1.0 } else { 0.0 };
        let seconds = Some(&Unit::Seconds);
        gauge("keeper_up", "1 when the keeper answers", None, flag(self.keeper_up))?;
        gauge("ready", "1 when the service is ready", None, flag(self.ready))?;
        let end = time(self.certificate_not_after_s);
        gauge("certificate_expiry_timestamp", "When the server's certificate ends, Unix time", seconds, end)?;
        if let Some(due) = self.crl_next_update_s {
            gauge(
                "crl_expiry_timestamp",
                "When the first revocation list is due, Unix time",
                seconds,
                time(due),
            )?;
        }
        gauge("uptime", "Time since the front serves", seconds, self.uptime_s)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a Unix time in seconds is far below 2^52")]
fn time(seconds: i64) -> f64 {
    seconds as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_holds_both_halves_and_ends_once() {
        let metrics =
            FrontMetrics::new(|| vec![Counted { name: "connections", help: "Connections served", value: 7 }]);
        let gauges = Gauges {
            keeper_up: true,
            ready: false,
            certificate_not_after_s: 1_800_000_000,
            crl_next_update_s: None,
            uptime_s: 1.5,
        };
        let text = metrics.text(gauges, Some("# TYPE keysvc_keeper_x gauge\nkeysvc_keeper_x 1\n"));
        for line in [
            "keysvc_front_connections_total 7",
            "keysvc_front_keeper_up 1.0",
            "keysvc_front_ready 0.0",
            "keysvc_front_certificate_expiry_timestamp_seconds 1800000000.0",
            "keysvc_front_uptime_seconds 1.5",
            "keysvc_keeper_x 1",
        ] {
            assert!(text.lines().any(|one| one == line), "no {line} in\n{text}");
        }
        assert!(!text.contains("crl_expiry"));
        assert!(text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1);
    }
}
