//! Charts as inline SVG: no script, colours from the page's variables, so that they follow its
//! light or dark theme.

use std::fmt::Write;

use crate::quickstart::steps::{Kind, Plot};

/// Rows of an answer, as texts.
type Rows = [Vec<Option<String>>];

/// Colours in the style sheet, `--c0` and on.
const COLORS: usize = 8;
const WIDTH: f64 = 760.0;
const TOP: f64 = 62.0;
const BOTTOM: f64 = 54.0;
const LEFT: f64 = 64.0;
/// Pixels of a character at the charts' font size, on average.
const CHARACTER: f64 = 7.2;

pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The chart of an answer; empty where it has nothing to draw.
pub fn chart(plot: &Plot, rows: &Rows) -> String {
    match plot.kind {
        Kind::Columns { label, series } => columns(plot, rows, label, series),
        Kind::Bars { label, value } => bars(plot, rows, label, value),
        Kind::Lines { x, y, group, limit } => lines(plot, rows, [x, y, group], limit),
        Kind::Points { x, y, note } => points(plot, rows, [x, y], note),
    }
}

fn text(row: &[Option<String>], column: usize) -> &str {
    row.get(column).and_then(|value| value.as_deref()).unwrap_or("")
}

fn number(row: &[Option<String>], column: usize) -> Option<f64> {
    text(row, column).parse().ok().filter(|value: &f64| value.is_finite())
}

/// Round marks from 0 to at least `most`, about five of them.
fn ticks(most: f64) -> Vec<f64> {
    if most <= 0.0 || !most.is_finite() {
        return Vec::new();
    }
    let rough = most / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough * 0.999)
        .unwrap_or(10.0 * power);
    let count = (most / step * 0.999).ceil() as usize;
    (0..=count).map(|mark| mark as f64 * step).collect()
}

/// Powers of ten from a hundredth to at least `most`, for values of very different sizes.
fn powers(most: f64) -> Vec<f64> {
    if most <= 0.0 || !most.is_finite() {
        return Vec::new();
    }
    let last = most.log10().ceil().max(0.0) as i32;
    (-2..=last).map(|power| 10f64.powi(power)).collect()
}

/// A mark with the decimals its step needs.
fn mark_text(value: f64, step: f64) -> String {
    let mut decimals = 0;
    let mut scaled = step;
    while decimals < 6 && (scaled - scaled.round()).abs() > 1e-9 * scaled.abs().max(1.0) {
        decimals += 1;
        scaled *= 10.0;
    }
    format!("{value:.decimals$}")
}

/// A chart under construction: its frame, and the place of values in it.
struct Canvas {
    svg: String,
    height: f64,
    right: f64,
    /// Greatest value of the vertical axis.
    top: f64,
    /// Least value of a logarithmic axis.
    low: Option<f64>,
}

impl Canvas {
    fn new(plot: &Plot, height: f64, right: f64, top: f64) -> Self {
        let svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}\">\
             <text class=\"t\" x=\"0\" y=\"18\">{title}</text>",
            title = escape(plot.title),
        );
        Canvas { svg, height, right, top, low: None }
    }

    fn plot_width(&self) -> f64 {
        WIDTH - LEFT - self.right
    }

    fn base(&self) -> f64 {
        self.height - BOTTOM
    }

    fn y(&self, value: f64) -> f64 {
        let share = match self.low {
            Some(low) => (value.max(low) / low).ln() / (self.top / low).ln(),
            None => value / self.top,
        };
        self.base() - share * (self.base() - TOP)
    }

    fn text(&mut self, class: &str, x: f64, y: f64, anchor: &str, words: &str) {
        let _ = write!(
            self.svg,
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
            escape(words)
        );
    }

    /// Horizontal lines with their values, and the names of both axes.
    fn axes(&mut self, plot: &Plot, marks: &[f64]) {
        let step = marks.get(1).copied().unwrap_or(1.0);
        for mark in marks {
            let y = self.y(*mark);
            let _ = write!(
                self.svg,
                "<line class=\"{}\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>",
                if *mark == marks[0] { "axis" } else { "grid" },
                WIDTH - self.right,
            );
            let step = if self.low.is_some() { *mark } else { step };
            self.text("m", LEFT - 8.0, y + 4.0, "end", &mark_text(*mark, step));
        }
        self.text("a", 0.0, 46.0, "start", &format!("↑ {}", plot.y));
        let middle = LEFT + self.plot_width() / 2.0;
        self.text("a", middle, self.height - 10.0, "middle", plot.x);
    }

    /// Coloured squares with names, right of the title.
    fn legend(&mut self, names: &[&str]) {
        let mut x = WIDTH;
        for (index, name) in names.iter().enumerate().rev() {
            self.text("l", x, 46.0, "end", name);
            x -= name.chars().count() as f64 * CHARACTER + 16.0;
            let _ = write!(
                self.svg,
                "<rect x=\"{x:.1}\" y=\"36\" width=\"11\" height=\"11\" rx=\"2\" fill=\"{}\"/>",
                color(index)
            );
            x -= 18.0;
        }
    }

    fn finish(mut self) -> String {
        self.svg.push_str("</svg>");
        self.svg
    }
}

fn color(index: usize) -> String {
    format!("var(--c{})", index % COLORS)
}

/// Upright columns, one or more beside each other per label.
fn columns(plot: &Plot, rows: &Rows, label: usize, series: &[(usize, &str)]) -> String {
    let values = |column: usize| rows.iter().filter_map(move |row| number(row, column));
    let most = series.iter().flat_map(|(column, _)| values(*column)).fold(0.0, f64::max);
    let marks = ticks(most);
    let Some(top) = marks.last() else { return String::new() };
    let mut canvas = Canvas::new(plot, 300.0, 8.0, *top);
    canvas.axes(plot, &marks);
    if series.len() > 1 {
        let names: Vec<&str> = series.iter().map(|(_, name)| *name).collect();
        canvas.legend(&names);
    }
    let slot = canvas.plot_width() / rows.len() as f64;
    let width = (slot * 0.76 / series.len() as f64).min(72.0);
    // Values stand above the columns where all of them find room.
    let longest = rows
        .iter()
        .flat_map(|row| series.iter().map(|(column, _)| text(row, *column).chars().count()))
        .max()
        .unwrap_or(0);
    let valued = longest as f64 * CHARACTER * 0.9 <= width + 4.0;
    for (place, row) in rows.iter().enumerate() {
        let middle = LEFT + slot * (place as f64 + 0.5);
        let first = middle - width * series.len() as f64 / 2.0;
        for (index, (column, name)) in series.iter().enumerate() {
            let Some(value) = number(row, *column) else { continue };
            let (x, y) = (first + width * index as f64, canvas.y(value.max(0.0)));
            let shown = text(row, *column).to_string();
            let _ = write!(
                canvas.svg,
                "<rect x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"2\" fill=\"{}\">\
                 <title>{}: {} {}</title></rect>",
                x + 0.5,
                width - 1.0,
                canvas.base() - y,
                color(index),
                escape(text(row, label)),
                escape(name),
                escape(&shown),
            );
            if valued {
                canvas.text("v", x + width / 2.0, y - 5.0, "middle", &shown);
            }
        }
        canvas.text("m", middle, canvas.base() + 17.0, "middle", text(row, label));
    }
    canvas.finish()
}

/// Lying bars with their values, in the answer's order.
fn bars(plot: &Plot, rows: &Rows, label: usize, value: usize) -> String {
    let found: Vec<(&str, &str, f64)> = rows
        .iter()
        .filter_map(|row| Some((text(row, label), text(row, value), number(row, value)?)))
        .collect();
    let most = found.iter().map(|(_, _, value)| *value).fold(0.0, f64::max);
    if most <= 0.0 {
        return String::new();
    }
    let longest = found.iter().map(|(name, _, _)| name.chars().count()).max().unwrap_or(0);
    let left = (longest as f64 * CHARACTER).min(220.0) + 12.0;
    let (start, step) = (58.0, 22.0);
    let height = start + step * found.len() as f64 + 4.0;
    let mut canvas = Canvas::new(plot, height, 0.0, 1.0);
    canvas.text("a", 0.0, 42.0, "start", plot.y);
    for (place, (name, shown, value)) in found.iter().enumerate() {
        let y = start + step * place as f64;
        let length = (WIDTH - left - 70.0) * value.max(0.0) / most;
        let _ = write!(
            canvas.svg,
            "<rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{length:.1}\" height=\"{:.1}\" rx=\"2\" \
             fill=\"{}\"/>",
            y + 2.0,
            step - 6.0,
            color(0),
        );
        canvas.text("m", left - 8.0, y + 14.0, "end", name);
        canvas.text("v", left + length + 6.0, y + 14.0, "start", shown);
    }
    canvas.finish()
}

/// One line per group on a logarithmic axis, named at its end; `limit` is a value worth a dashed
/// line. Values below the axis lie on it.
fn lines(
    plot: &Plot,
    rows: &Rows,
    [x, y, group]: [usize; 3],
    limit: Option<(f64, &str)>,
) -> String {
    let mut groups: Vec<(&str, Vec<(f64, f64)>)> = Vec::new();
    for row in rows {
        let (Some(at), Some(value)) = (number(row, x), number(row, y)) else { continue };
        let name = text(row, group);
        match groups.iter_mut().find(|(known, _)| *known == name) {
            Some((_, points)) => points.push((at, value)),
            None => groups.push((name, vec![(at, value)])),
        }
    }
    let all = || groups.iter().flat_map(|(_, points)| points);
    let mut places: Vec<f64> = all().map(|(x, _)| *x).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let most = all().map(|(_, y)| *y).chain(limit.map(|(limit, _)| limit)).fold(0.0, f64::max);
    let marks = powers(most);
    let (Some(top), [low, .., high]) = (marks.last(), places.as_slice()) else {
        return String::new();
    };
    let longest = groups.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let right = longest as f64 * CHARACTER + 16.0;
    let mut canvas = Canvas::new(plot, 340.0, right, *top);
    canvas.low = marks.first().copied();
    canvas.axes(plot, &marks);
    let width = canvas.plot_width() - 24.0;
    let at = |x: f64| LEFT + 12.0 + (x - low) / (high - low) * width;
    for place in &places {
        let base = canvas.base() + 17.0;
        canvas.text("m", at(*place), base, "middle", &place.to_string());
    }
    if let Some((limit, _)) = limit {
        let y = canvas.y(limit);
        let _ = write!(
            canvas.svg,
            "<line class=\"limit\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>",
            WIDTH - right
        );
    }
    // Names stand at the ends of their lines, pushed apart where they would meet.
    let mut ends: Vec<(f64, usize)> = Vec::new();
    for (index, (name, points)) in groups.iter_mut().enumerate() {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let path: Vec<String> =
            points.iter().map(|(x, y)| format!("{:.1},{:.1}", at(*x), canvas.y(*y))).collect();
        let _ = write!(
            canvas.svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2.2\" \
             stroke-linejoin=\"round\"/>",
            path.join(" "),
            color(index),
        );
        for (x, y) in points.iter() {
            let _ = write!(
                canvas.svg,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{}\"><title>{} {x}: {y}</title>\
                 </circle>",
                at(*x),
                canvas.y(*y),
                color(index),
                escape(name),
            );
        }
        if let Some((_, y)) = points.last() {
            ends.push((canvas.y(*y), index));
        }
    }
    if let Some((limit, name)) = limit {
        let y = canvas.y(limit) - 5.0;
        canvas.text("l", LEFT + 4.0, y, "start", name);
    }
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut lowest = f64::NEG_INFINITY;
    let space = 15.0;
    let spread: Vec<(f64, usize)> = ends
        .iter()
        .map(|(y, index)| {
            lowest = y.max(lowest + space);
            (lowest, *index)
        })
        .collect();
    // The last names must stay above the axis.
    let over = (lowest - canvas.base()).max(0.0);
    let mut ceiling = f64::INFINITY;
    for (place, (y, index)) in spread.iter().enumerate().rev() {
        let y = if place + 1 == spread.len() { y - over } else { y.min(ceiling - space) };
        ceiling = y;
        let _ = write!(
            canvas.svg,
            "<text class=\"l\" x=\"{:.1}\" y=\"{:.1}\" style=\"fill:{}\">{}</text>",
            WIDTH - right + 4.0,
            y + 4.0,
            color(*index),
            escape(groups[*index].0),
        );
    }
    canvas.finish()
}

/// Points against the diagonal on which both values are equal.
fn points(plot: &Plot, rows: &Rows, [x, y]: [usize; 2], note: &str) -> String {
    let found: Vec<(f64, f64)> =
        rows.iter().filter_map(|row| Some((number(row, x)?, number(row, y)?))).collect();
    let most = found.iter().map(|(x, y)| x.max(*y)).fold(0.0, f64::max);
    let marks = ticks(most);
    let Some(top) = marks.last() else { return String::new() };
    let mut canvas = Canvas::new(plot, 380.0, 8.0, *top);
    canvas.axes(plot, &marks);
    let width = canvas.plot_width();
    let at = |x: f64| LEFT + x / top * width;
    let step = marks.get(1).copied().unwrap_or(1.0);
    for mark in &marks {
        let base = canvas.base() + 17.0;
        canvas.text("m", at(*mark), base, "middle", &mark_text(*mark, step));
    }
    let _ = write!(
        canvas.svg,
        "<line class=\"limit\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
        at(0.0),
        canvas.y(0.0),
        at(*top),
        canvas.y(*top),
    );
    canvas.text("l", at(*top * 0.66), canvas.y(*top * 0.72), "end", note);
    for (x, y) in &found {
        let _ = write!(
            canvas.svg,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"5\" fill=\"{}\" fill-opacity=\"0.85\">\
             <title>{x} → {y}</title></circle>",
            at(*x),
            canvas.y(*y),
            color(0),
        );
    }
    canvas.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERIES: &[(usize, &str)] = &[(1, "seen"), (2, "expected")];

    fn plot(kind: Kind) -> Plot {
        Plot { title: "A <b>", x: "month", y: "share, %", kind }
    }

    fn rows(rows: &[&[&str]]) -> Vec<Vec<Option<String>>> {
        rows.iter().map(|row| row.iter().map(|cell| Some((*cell).to_string())).collect()).collect()
    }

    #[test]
    fn marks_are_round_and_reach_the_top() {
        assert_eq!(ticks(24.1), [0.0, 5.0, 10.0, 15.0, 20.0, 25.0]);
        assert_eq!(ticks(1.0), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert!(ticks(0.0).is_empty() && ticks(f64::NAN).is_empty());
        assert_eq!(mark_text(0.6000000000000001, 0.2), "0.6");
        assert_eq!(mark_text(10.0, 5.0), "10");
        assert_eq!(powers(6.4), [0.01, 0.1, 1.0, 10.0]);
        assert_eq!(mark_text(0.025, 0.025), "0.025");
    }

    #[test]
    fn every_kind_is_drawn_with_its_words() {
        let answer = rows(&[&["1", "3.5", "4"], &["2", "7", "6"]]);
        for (kind, parts) in [
            (Kind::Columns { label: 0, series: SERIES }, vec![">3.5</text>", ">seen</text>"]),
            (Kind::Bars { label: 0, value: 1 }, vec![">7</text>"]),
            (
                Kind::Lines { x: 0, y: 1, group: 2, limit: Some((5.0, "moved")) },
                vec![">moved</text>"],
            ),
            (Kind::Points { x: 1, y: 2, note: "equal" }, vec!["<circle", ">equal</text>"]),
        ] {
            let svg = chart(&plot(kind), &answer);
            assert!(svg.contains("A &lt;b&gt;") && svg.contains("share, %"), "{svg}");
            for part in parts {
                assert!(svg.contains(part), "{part} in {svg}");
            }
            assert!(!svg.contains("NaN"), "{svg}");
            let none = chart(&plot(kind), &[]);
            assert!(none.is_empty());
        }
    }
}
