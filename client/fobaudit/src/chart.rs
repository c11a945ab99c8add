//! Charts as SVG that stands in the page itself: upright bars over time, and lying bars by kind.
//!
//! Pure: numbers in, text out. Bars are told apart by dark and light with an outline, so that they read in black and
//! white. Coordinates are whole units of a drawing 720 wide, computed in integers: the same numbers give the same
//! bytes on every machine.

use crate::fault::Fault;
use plotters::{
    coord::Shift,
    prelude::{
        DrawingArea, IntoDrawingArea as _, IntoFont as _, PathElement, RGBColor, Rectangle, SVGBackend, Text,
    },
    style::{
        Color as _, TextStyle,
        text_anchor::{HPos, Pos, VPos},
    },
};
use std::{fmt::Display, io};

/// Width of a drawing, in units.
const WIDTH: i32 = 720;
/// Height of the part of an upright chart in which the bars stand.
const PLOT_HEIGHT: i32 = 170;
/// Room left of the bars for amounts, in units.
const LEFT: i32 = 92;
/// Room right of the bars.
const RIGHT: i32 = 8;
/// Room above the bars for the legend.
const TOP: i32 = 26;
/// Room below the bars for days.
const BOTTOM: i32 = 26;
/// Where the bars stand.
const FLOOR: i32 = TOP + PLOT_HEIGHT;
/// Fewest slots, so that the bar of a single day is not a wall.
const SLOTS_MIN: usize = 14;
/// Half the room of a name under the bars, in units: half of "Nov 2026" in the size used, and a little more.
const LABEL_HALF: i32 = 30;
/// Most steps of the scale.
const STEPS_MAX: u64 = 5;
/// Height of a lying bar with its distance to the next.
const ROW_HEIGHT: i32 = 22;
/// Room left of lying bars for their names.
const ROW_LEFT: i32 = 220;
/// Room right of lying bars for their numbers.
const ROW_RIGHT: i32 = 90;
/// Size of texts; the backend divides it by 1.24.
const TEXT_SIZE: i32 = 14;

const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
const GRID: RGBColor = RGBColor(0xcc, 0xcc, 0xcc);
const DARK: RGBColor = RGBColor(0x1f, 0x4e, 0x79);
const LIGHT: RGBColor = RGBColor(0xf6, 0xdc, 0xa8);

/// How a row of bars looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Filled, dark.
    Dark,
    /// Light with an outline.
    Light,
}

/// What a chart is called and says, for those who cannot see it.
#[derive(Debug, Clone)]
pub(crate) struct Caption {
    /// Its name in the page: letters, digits and `-`.
    pub(crate) id: String,
    /// Its title.
    pub(crate) title: String,
    /// What it shows, in words.
    pub(crate) description: String,
}

/// One row of bars.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    /// Its name in the legend.
    pub(crate) name: &'static str,
    /// One value for each bin.
    pub(crate) values: Vec<u64>,
    /// How it looks.
    pub(crate) look: Look,
}

/// Draws upright bars: for each label one bar of each series. `scale` writes the numbers at the side.
///
/// # Errors
/// [`Fault`] when it cannot be drawn.
pub(crate) fn upright(
    caption: &Caption,
    labels: &[String],
    series: &[Series],
    scale: &dyn Fn(u64) -> String,
) -> Result<String, Fault> {
    let height = PLOT_HEIGHT.saturating_add(TOP).saturating_add(BOTTOM);
    draw(caption, height, |canvas| {
        let top = series.iter().flat_map(|series| &series.values).copied().max().unwrap_or_default();
        let step = step_of(top);
        let top = top.div_ceil(step).max(1).saturating_mul(step);
        canvas.scale(step, top, scale)?;
        canvas.labels(labels)?;
        // One row of bars is named by the title.
        for (place, one) in series.iter().enumerate().filter(|_| series.len() > 1) {
            canvas.legend(place, one)?;
        }
        for (bin, _) in labels.iter().enumerate() {
            for (place, one) in series.iter().enumerate() {
                let value = one.values.get(bin).copied().unwrap_or_default();
                let slot = Slot::of(bin, labels.len()).part(place, series.len());
                canvas.bar(slot.standing(value, top), one.look)?;
            }
        }
        canvas.baseline()
    })
}

/// Draws lying bars, one for each name, with the number at its end.
///
/// # Errors
/// [`Fault`] when it cannot be drawn.
pub(crate) fn lying(caption: &Caption, rows: &[(String, u64)]) -> Result<String, Fault> {
    let top = rows.iter().map(|(_, value)| *value).max().unwrap_or_default().max(1);
    let count = i32::try_from(rows.len()).unwrap_or(i32::MAX);
    draw(caption, ROW_HEIGHT.saturating_mul(count).saturating_add(4), |canvas| {
        for ((name, value), place) in rows.iter().zip(0_i32..) {
            let y = place.saturating_mul(ROW_HEIGHT).saturating_add(2);
            let middle = y.saturating_add(8);
            let room = WIDTH.saturating_sub(ROW_LEFT).saturating_sub(ROW_RIGHT);
            let end = ROW_LEFT.saturating_add(share(*value, top, room).max(1));
            canvas.write(name, (ROW_LEFT.saturating_sub(8), middle), (HPos::Right, VPos::Center))?;
            canvas.bar(((ROW_LEFT, y), (end, y.saturating_add(16))), Look::Dark)?;
            let number = grouped(&value.to_string());
            canvas.write(&number, (end.saturating_add(6), middle), (HPos::Left, VPos::Center))?;
        }
        Ok(())
    })
}

/// Digits in groups of three, parted by narrow spaces that do not break; what stands after a point stays together.
pub(crate) fn grouped(number: &str) -> String {
    let (whole, rest) = number.split_at(number.find('.').unwrap_or(number.len()));
    let mut text = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && whole.len().saturating_sub(place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text + rest
}

/// The step of a scale: 1, 2 or 5 times a power of ten, so that at most [`STEPS_MAX`] of them reach `top`.
fn step_of(top: u64) -> u64 {
    let mut ten = 1_u64;
    loop {
        for factor in [1, 2, 5] {
            let step = ten.saturating_mul(factor);
            if top.div_ceil(step) <= STEPS_MAX {
                return step;
            }
        }
        ten = ten.saturating_mul(10);
    }
}

/// The part of `length` that `value` is of `whole`.
fn share(value: u64, whole: u64, length: i32) -> i32 {
    let length = u128::try_from(length).unwrap_or_default();
    let share = u128::from(value).saturating_mul(length).checked_div(u128::from(whole)).unwrap_or_default();
    i32::try_from(share.min(length)).unwrap_or_default()
}

/// Where the bars of one bin stand: from here to there.
#[derive(Debug, Clone, Copy)]
struct Slot {
    from: i32,
    to: i32,
}

impl Slot {
    /// The slot of a bin, with a seventh of it left free on both sides together.
    fn of(bin: usize, bins: usize) -> Self {
        let slots = u64::try_from(bins.max(SLOTS_MIN)).unwrap_or(u64::MAX);
        let bin = u64::try_from(bin).unwrap_or(u64::MAX);
        let room = WIDTH.saturating_sub(LEFT).saturating_sub(RIGHT);
        let from = LEFT.saturating_add(share(bin, slots, room));
        let to = LEFT.saturating_add(share(bin.saturating_add(1), slots, room));
        let free = to.saturating_sub(from).checked_div(14).unwrap_or_default().max(1);
        Self { from: from.saturating_add(free), to: to.saturating_sub(free) }
    }

    /// One of so many parts of equal width.
    fn part(self, place: usize, parts: usize) -> Self {
        let width = self.to.saturating_sub(self.from);
        let parts = u64::try_from(parts).unwrap_or(1);
        let place = u64::try_from(place).unwrap_or_default();
        let from = self.from.saturating_add(share(place, parts, width));
        Self { from, to: self.from.saturating_add(share(place.saturating_add(1), parts, width)) }
    }

    fn middle(self) -> i32 {
        self.from.saturating_add(self.to).checked_div(2).unwrap_or_default()
    }

    /// The bar of a value in it: at least one unit high where there is any value.
    fn standing(self, value: u64, top: u64) -> ((i32, i32), (i32, i32)) {
        let least = i32::from(value > 0);
        let upper = FLOOR.saturating_sub(share(value, top, PLOT_HEIGHT).max(least));
        ((self.from, upper), (self.to, FLOOR))
    }
}

/// What is drawn on.
struct Canvas<'a>(DrawingArea<SVGBackend<'a>, Shift>);

impl Canvas<'_> {
    /// Lines across, one for each step, with the number at the side.
    fn scale(&self, step: u64, top: u64, number: &dyn Fn(u64) -> String) -> Result<(), Fault> {
        let mut value = 0_u64;
        loop {
            let y = FLOOR.saturating_sub(share(value, top, PLOT_HEIGHT));
            self.line([(LEFT, y), (WIDTH.saturating_sub(RIGHT), y)], GRID)?;
            self.write(&number(value), (LEFT.saturating_sub(6), y), (HPos::Right, VPos::Center))?;
            match value.checked_add(step) {
                Some(next) if next <= top => value = next,
                _ => return Ok(()),
            }
        }
    }

    /// The names under the bars, as many as do not run into each other.
    fn labels(&self, labels: &[String]) -> Result<(), Fault> {
        let mut free = i32::MIN;
        for (bin, label) in labels.iter().enumerate() {
            let x = Slot::of(bin, labels.len()).middle();
            if x.saturating_sub(LABEL_HALF) < free || x.saturating_add(LABEL_HALF) > WIDTH {
                continue;
            }
            free = x.saturating_add(LABEL_HALF);
            self.line([(x, FLOOR), (x, FLOOR.saturating_add(4))], INK)?;
            self.write(label, (x, FLOOR.saturating_add(8)), (HPos::Center, VPos::Top))?;
        }
        Ok(())
    }

    fn legend(&self, place: usize, series: &Series) -> Result<(), Fault> {
        let x = LEFT.saturating_add(i32::try_from(place).unwrap_or_default().saturating_mul(120));
        self.bar(((x, 5), (x.saturating_add(12), 16)), series.look)?;
        self.write(series.name, (x.saturating_add(18), 11), (HPos::Left, VPos::Center))
    }

    fn bar(&self, corners: ((i32, i32), (i32, i32)), look: Look) -> Result<(), Fault> {
        let (from, to) = corners;
        if from.1 >= to.1 {
            return Ok(());
        }
        match look {
            Look::Dark => drawn(self.0.draw(&Rectangle::new([from, to], DARK.filled()))),
            Look::Light => {
                drawn(self.0.draw(&Rectangle::new([from, to], LIGHT.filled())))?;
                drawn(self.0.draw(&Rectangle::new([from, to], INK.stroke_width(1))))
            }
        }
    }

    fn baseline(&self) -> Result<(), Fault> {
        self.line([(LEFT, FLOOR), (WIDTH.saturating_sub(RIGHT), FLOOR)], INK)
    }

    fn line(&self, ends: [(i32, i32); 2], color: RGBColor) -> Result<(), Fault> {
        drawn(self.0.draw(&PathElement::new(ends, color.stroke_width(1))))
    }

    fn write(&self, text: &str, at: (i32, i32), anchor: (HPos, VPos)) -> Result<(), Fault> {
        let style = TextStyle::from(("sans-serif", TEXT_SIZE).into_font());
        let style = style.color(&INK).pos(Pos::new(anchor.0, anchor.1));
        drawn(self.0.draw(&Text::new(text, at, style)))
    }
}

fn drawn<T, E: Display>(result: Result<T, E>) -> Result<T, Fault> {
    result.map_err(|error| Fault::Output(io::Error::other(error.to_string())))
}

/// The drawing, with title and description for those who cannot see it.
fn draw(
    caption: &Caption,
    height: i32,
    paint: impl FnOnce(&Canvas<'_>) -> Result<(), Fault>,
) -> Result<String, Fault> {
    let mut text = String::new();
    let size = (WIDTH.unsigned_abs(), height.unsigned_abs());
    {
        let canvas = Canvas(SVGBackend::with_string(&mut text, size).into_drawing_area());
        paint(&canvas)?;
        drawn(canvas.0.present())?;
    }
    // The backend's opening tag has a fixed size and no words; ours scales and speaks.
    let inner = text.split_once('>').map_or("", |(_, inner)| inner);
    let Caption { id, title, description } = caption;
    Ok(format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"{id}-title {id}-desc\">\n\
         <title id=\"{id}-title\">{}</title>\n<desc id=\"{id}-desc\">{}</desc>{inner}",
        escaped(title),
        escaped(description),
    ))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caption() -> Caption {
        Caption { id: "c".to_owned(), title: "a < b".to_owned(), description: "x & y".to_owned() }
    }

    fn series(values: &[u64]) -> Series {
        Series { name: "loaded", values: values.to_vec(), look: Look::Light }
    }

    fn labels(count: usize) -> Vec<String> {
        (0..count).map(|place| format!("{} Nov", place + 1)).collect()
    }

    #[test]
    fn the_scale_has_round_steps_and_at_most_five() {
        assert_eq!([0, 1, 5, 6, 99, 100, 101].map(step_of), [1, 1, 1, 2, 20, 20, 50]);
        assert!(u64::MAX.div_ceil(step_of(u64::MAX)) <= STEPS_MAX);
    }

    #[test]
    fn a_chart_has_title_description_and_generic_fonts_only() {
        let svg = upright(&caption(), &labels(3), &[series(&[1, 0, 7])], &|value| value.to_string()).unwrap();
        assert!(svg.starts_with("<svg viewBox=\"0 0 720 222\" role=\"img\""), "{svg}");
        assert!(svg.contains("<title id=\"c-title\">a &lt; b</title>"), "{svg}");
        assert!(svg.contains("<desc id=\"c-desc\">x &amp; y</desc>"), "{svg}");
        assert!(svg.split("font-family=\"").skip(1).all(|rest| rest.starts_with("sans-serif\"")), "{svg}");
        assert!(svg.trim_end().ends_with("</svg>"), "{svg}");
        assert!(!svg.contains("http"), "{svg}");
    }

    #[test]
    fn a_day_without_value_has_no_bar_and_the_least_value_has_one() {
        let bars = |values: &[u64]| {
            let svg = upright(&caption(), &labels(values.len()), &[series(values)], &|_| String::new());
            svg.unwrap().matches("fill=\"none\" stroke=\"#222222\"/>").count()
        };
        assert_eq!([bars(&[]), bars(&[0, 0]), bars(&[1, 0, 1_000_000])], [0, 0, 2]);
    }

    #[test]
    fn the_largest_amounts_stay_inside_the_drawing() {
        let svg =
            upright(&caption(), &labels(1), &[series(&[u64::MAX])], &|value| value.to_string()).unwrap();
        assert!(!svg.contains("y=\"-"), "{svg}");
        let svg = lying(&caption(), &[("busy".to_owned(), u64::MAX)]).unwrap();
        assert!(svg.contains("18\u{202f}446\u{202f}744"), "{svg}");
    }

    #[test]
    fn sixty_bars_do_not_crowd_their_names() {
        let svg = upright(&caption(), &labels(60), &[series(&[1; 60])], &|_| String::new()).unwrap();
        assert!((8..=12).contains(&svg.matches(" Nov\n").count()), "{svg}");
    }

    #[test]
    fn a_hostile_name_is_escaped() {
        let svg = lying(&caption(), &[("<script>".to_owned(), 1)]).unwrap();
        assert!(svg.contains("&lt;script&gt;") && !svg.contains("<script"), "{svg}");
    }

    #[test]
    fn digits_are_grouped_by_three_before_the_point() {
        let texts = ["1", "123", "1234", "1234567.1234"].map(grouped);
        assert_eq!(texts, ["1", "123", "1\u{202f}234", "1\u{202f}234\u{202f}567.1234"]);
    }
}
