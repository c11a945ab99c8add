//! The charts of the page, and the tables that say the same in numbers.

use super::rows::{amount, count, unit};
use crate::{
    calendar::Bins,
    chart::{self, Caption, Look, Series},
    fault::Fault,
    tally::{Moved, Tally},
};

/// Most currencies with a chart of their own, those with most updates; all of them are in the table by programme.
const CHARTED_MAX: usize = 6;

/// A chart, or why there is none.
pub(super) struct Figure {
    /// Its title.
    pub(super) title: String,
    /// The drawing, escaped; nothing where there is nothing to draw.
    pub(super) svg: Option<String>,
    /// What is said instead.
    pub(super) none: &'static str,
}

/// A table of what a chart shows.
pub(super) struct Table {
    /// Its title.
    pub(super) caption: String,
    /// Head of the column of names.
    pub(super) first: String,
    /// Heads of the columns of numbers.
    pub(super) heads: Vec<String>,
    /// Its rows, those with nothing in them left out.
    pub(super) rows: Vec<Row>,
}

/// A row.
pub(super) struct Row {
    /// Its name.
    pub(super) name: String,
    /// Its numbers.
    pub(super) numbers: Vec<String>,
}

/// The charts and their tables.
#[derive(Default)]
pub(super) struct Drawn {
    /// The charts.
    pub(super) figures: Vec<Figure>,
    /// The tables.
    pub(super) tables: Vec<Table>,
}

/// Draws all charts.
///
/// # Errors
/// [`Fault`] when one cannot be drawn.
pub(super) fn draw(tally: &Tally) -> Result<Drawn, Fault> {
    let first = tally.days.first_key_value().map(|(day, _)| *day);
    let last = tally.days.last_key_value().map(|(day, _)| *day);
    let bins = first.zip(last).map_or_else(Bins::default, |(first, last)| Bins::over(first, last));
    let mut drawn = Drawn::default();
    drawn.card_keys(tally, &bins)?;
    drawn.value(tally, &bins)?;
    drawn.refusals(tally)?;
    drawn.refusals_over_time(tally, &bins);
    Ok(drawn)
}

impl Drawn {
    fn none(&mut self, title: String, none: &'static str) {
        self.figures.push(Figure { title, svg: None, none });
    }

    fn add(&mut self, title: String, svg: String) {
        self.figures.push(Figure { title, svg: Some(svg), none: "" });
    }

    fn card_keys(&mut self, tally: &Tally, bins: &Bins) -> Result<(), Fault> {
        let title = format!("Card keys derived per {}", bins.width().name());
        if tally.card_keys == 0 {
            self.none(title, "No card key was derived in this period.");
            return Ok(());
        }
        let mut values = vec![0_u64; bins.count()];
        for (day, of_day) in &tally.days {
            if let Some(value) = bins.place(*day).and_then(|place| values.get_mut(place)) {
                *value = value.saturating_add(of_day.card_keys);
            }
        }
        self.tables.push(counts(title.clone(), "Card keys", bins, &values));
        let caption = caption("card-keys", &title, &format!("{} card keys in all.", count(tally.card_keys)));
        let series = [Series { name: "card keys", values, look: Look::Dark }];
        self.add(title, chart::upright(&caption, &bins.labels(), &series, &count)?);
        Ok(())
    }

    fn value(&mut self, tally: &Tally, bins: &Bins) -> Result<(), Fault> {
        let mut currencies: Vec<_> = tally.currencies().into_iter().collect();
        if currencies.is_empty() {
            self.none(format!("Value moved per {}", bins.width().name()), "No value moved in this period.");
        }
        currencies.sort_by_key(|(_, moved)| std::cmp::Reverse(moved.loads.saturating_add(moved.debits)));
        for (currency, sum) in currencies.into_iter().take(CHARTED_MAX) {
            self.value_in(currency, sum, tally, bins)?;
        }
        Ok(())
    }

    fn value_in(&mut self, currency: u16, sum: Moved, tally: &Tally, bins: &Bins) -> Result<(), Fault> {
        let title = format!("Value moved per {}, in {}", bins.width().name(), unit(currency));
        let mut moved = vec![Moved::default(); bins.count()];
        for (day, of_day) in &tally.days {
            let place = bins.place(*day).and_then(|place| moved.get_mut(place));
            if let Some((place, of_day)) = place.zip(of_day.moved.get(&currency)) {
                place.add(*of_day);
            }
        }
        self.tables.push(moves(title.clone(), currency, bins, &moved));
        let words = format!(
            "{} loaded and {} debited in all.",
            amount(sum.loaded, currency),
            amount(sum.debited, currency)
        );
        let caption = caption(&format!("value-{currency}"), &title, &words);
        let loaded = moved.iter().map(|moved| moved.loaded).collect();
        let debited = moved.iter().map(|moved| moved.debited).collect();
        let series = [
            Series { name: "loaded", values: loaded, look: Look::Dark },
            Series { name: "debited", values: debited, look: Look::Light },
        ];
        let scale = |minor| amount(minor, currency);
        self.add(title, chart::upright(&caption, &bins.labels(), &series, &scale)?);
        Ok(())
    }

    fn refusals(&mut self, tally: &Tally) -> Result<(), Fault> {
        let title = "Refusals by kind".to_owned();
        let mut kinds: Vec<_> =
            tally.refused.iter().map(|(kind, refused)| ((*kind).to_owned(), refused.count)).collect();
        let counted = tally.counted.enrolled.saturating_add(tally.counted.strangers);
        if counted > 0 {
            kinds.push(("counted only, without kind".to_owned(), counted));
        }
        if kinds.is_empty() {
            self.none(title, "Nothing was refused in this period.");
            return Ok(());
        }
        kinds.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
        let caption = Caption {
            id: "refusals".to_owned(),
            description: format!(
                "{} refusals in all. The table “Refusals” has the numbers.",
                count(tally.refusals())
            ),
            title: title.clone(),
        };
        self.add(title, chart::lying(&caption, &kinds)?);
        Ok(())
    }

    fn refusals_over_time(&mut self, tally: &Tally, bins: &Bins) {
        if tally.refusals() == 0 {
            return;
        }
        let mut values = vec![0_u64; bins.count()];
        for (day, of_day) in &tally.days {
            if let Some(value) = bins.place(*day).and_then(|place| values.get_mut(place)) {
                *value = value.saturating_add(of_day.refusals);
            }
        }
        let title = format!("Refusals per {}", bins.width().name());
        self.tables.push(counts(title, "Refusals", bins, &values));
    }
}

fn caption(id: &str, title: &str, words: &str) -> Caption {
    let description = format!("{words} The table “{title}” at the end of this page has the numbers.");
    Caption { id: id.to_owned(), title: title.to_owned(), description }
}

/// The head of the column of bins.
fn first_column(bins: &Bins) -> String {
    match bins.width().name() {
        "day" => "Day".to_owned(),
        other => format!("First day of the {other}"),
    }
}

fn counts(caption: String, head: &str, bins: &Bins, values: &[u64]) -> Table {
    let rows = bins.days().into_iter().zip(values).filter(|(_, value)| **value > 0);
    let rows = rows.map(|(name, value)| Row { name, numbers: vec![count(*value)] });
    Table { caption, first: first_column(bins), heads: vec![head.to_owned()], rows: rows.collect() }
}

fn moves(caption: String, currency: u16, bins: &Bins, moved: &[Moved]) -> Table {
    let rows = bins.days().into_iter().zip(moved).filter(|(_, moved)| **moved != Moved::default());
    let rows = rows.map(|(name, moved)| {
        let Moved { loads, loaded, debits, debited } = *moved;
        let numbers = vec![count(loads), amount(loaded, currency), count(debits), amount(debited, currency)];
        Row { name, numbers }
    });
    let heads = ["Loads", "Loaded", "Debits", "Debited"].map(str::to_owned).to_vec();
    Table { caption, first: first_column(bins), heads, rows: rows.collect() }
}
