//! The HTML report: one file, no script, no outside resource.

use std::fmt::Write;

use crate::quickstart::steps::Plot;

/// One executed statement, as the report shows it.
pub struct Section {
    pub title: String,
    pub text: String,
    pub sql: String,
    pub columns: Vec<(String, bool)>,
    pub rows: Vec<Vec<Option<String>>>,
    pub plot: Plot,
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;\
padding:0 1rem;color:#1b2733}h1{font-size:1.8rem}h2{margin-top:2.5rem;border-top:1px solid #d7dee5;\
padding-top:1.2rem}pre{background:#f3f6f9;padding:.8rem;overflow-x:auto;font-size:.85rem}\
table{border-collapse:collapse;font-size:.85rem;display:block;overflow-x:auto}\
th,td{padding:.25rem .7rem;border-bottom:1px solid #e3e9ee;text-align:left;white-space:nowrap}\
.n{text-align:right;font-variant-numeric:tabular-nums}svg{max-width:100%;height:auto}";
const COLORS: [&str; 8] =
    ["#2f6f9f", "#c8553d", "#5b8e55", "#8b6fb0", "#c79a2b", "#3a9a94", "#a34d76", "#6b7785"];
/// Rows shown of a long table.
const ROWS_SHOWN: usize = 40;

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The whole page.
pub fn page(sections: &[Section]) -> String {
    let mut html = String::new();
    let _ = write!(
        html,
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Frazil quickstart</title>\
         <style>{STYLE}</style></head><body><h1>Frazil quickstart: flight delays, New York City 2013</h1>\
         <p>Every number on this page is the answer of the statement above it.</p>"
    );
    for section in sections {
        if !section.title.is_empty() {
            let _ = write!(html, "<h2>{}</h2>", escape(&section.title));
        }
        if !section.text.is_empty() {
            let _ = write!(html, "<p>{}</p>", escape(&section.text));
        }
        let _ = write!(html, "<pre>{}</pre>", escape(&section.sql));
        html.push_str(&chart(section));
        html.push_str(&table(section));
    }
    html.push_str("</body></html>\n");
    html
}

fn table(section: &Section) -> String {
    let class = |number: &bool| if *number { " class=\"n\"" } else { "" };
    let mut html = String::from("<table><thead><tr>");
    for (name, number) in &section.columns {
        let _ = write!(html, "<th{}>{}</th>", class(number), escape(name));
    }
    html.push_str("</tr></thead><tbody>");
    for row in section.rows.iter().take(ROWS_SHOWN) {
        html.push_str("<tr>");
        for (value, (_, number)) in row.iter().zip(&section.columns) {
            let text = value.as_deref().unwrap_or("NULL");
            let _ = write!(html, "<td{}>{}</td>", class(number), escape(text));
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table>");
    if section.rows.len() > ROWS_SHOWN {
        let _ = write!(html, "<p>{} rows, the first {ROWS_SHOWN} shown.</p>", section.rows.len());
    }
    html
}

fn number(row: &[Option<String>], column: usize) -> Option<f64> {
    row.get(column)?.as_deref()?.parse().ok().filter(|value: &f64| value.is_finite())
}

fn chart(section: &Section) -> String {
    match section.plot {
        Plot::None => String::new(),
        Plot::Bars { label, value } => bars(section, label, value),
        Plot::Lines { x, y, group } => lines(section, x, y, group),
    }
}

fn bars(section: &Section, label: usize, value: usize) -> String {
    let data: Vec<(String, f64)> = section
        .rows
        .iter()
        .filter_map(|row| Some((row.get(label)?.clone()?, number(row, value)?)))
        .collect();
    let top = data.iter().map(|(_, value)| *value).fold(0.0f64, f64::max);
    if data.is_empty() || top <= 0.0 {
        return String::new();
    }
    let (width, height, left, bottom) = (720.0, 260.0, 50.0, 40.0);
    let step = (width - left) / data.len() as f64;
    let mut svg = open(width, height, &section.columns[value].0);
    for (index, (name, value)) in data.iter().enumerate() {
        let tall = (height - bottom - 20.0) * value / top;
        let x = left + step * index as f64 + step * 0.15;
        let y = height - bottom - tall;
        let _ = write!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{tall:.1}\" fill=\"{}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{value}</text>",
            step * 0.7,
            COLORS[0],
            x + step * 0.35,
            height - bottom + 16.0,
            escape(name),
            x + step * 0.35,
            y - 4.0,
        );
    }
    svg.push_str("</svg>");
    svg
}

fn lines(section: &Section, x: usize, y: usize, group: usize) -> String {
    let mut groups: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
    for row in &section.rows {
        let (Some(Some(name)), Some(x), Some(y)) = (row.get(group), number(row, x), number(row, y))
        else {
            continue;
        };
        match groups.iter_mut().find(|(known, _)| known == name) {
            Some((_, points)) => points.push((x, y)),
            None => groups.push((name.clone(), vec![(x, y)])),
        }
    }
    let all = || groups.iter().flat_map(|(_, points)| points);
    let low = all().map(|(x, _)| *x).fold(f64::INFINITY, f64::min);
    let high = all().map(|(x, _)| *x).fold(f64::NEG_INFINITY, f64::max);
    let top = all().map(|(_, y)| *y).fold(0.0f64, f64::max);
    if groups.is_empty() || top <= 0.0 || high <= low {
        return String::new();
    }
    let (width, height, left, bottom, right) = (720.0, 300.0, 50.0, 40.0, 170.0);
    let place = |(x, y): (f64, f64)| {
        (
            left + (x - low) / (high - low) * (width - left - right),
            height - bottom - y / top * (height - bottom - 25.0),
        )
    };
    let mut svg = open(width, height, &section.columns[y].0);
    for mark in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let (_, at) = place((low, top * mark));
        let _ = write!(
            svg,
            "<line x1=\"{left}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#e3e9ee\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{:.2}</text>",
            width - right,
            left - 6.0,
            at + 4.0,
            top * mark,
        );
    }
    let mut marks: Vec<f64> = all().map(|(x, _)| *x).collect();
    marks.sort_by(f64::total_cmp);
    marks.dedup();
    for mark in marks {
        let (at, _) = place((mark, 0.0));
        let _ = write!(
            svg,
            "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{mark}</text>",
            height - bottom + 16.0
        );
    }
    for (index, (name, points)) in groups.iter().enumerate() {
        let color = COLORS[index % COLORS.len()];
        let path: Vec<String> = points
            .iter()
            .map(|point| {
                let (x, y) = place(*point);
                format!("{x:.1},{y:.1}")
            })
            .collect();
        let _ = write!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" fill=\"{color}\">{}</text>",
            path.join(" "),
            width - right + 10.0,
            30.0 + 18.0 * index as f64,
            escape(name),
        );
    }
    svg.push_str("</svg>");
    svg
}

fn open(width: f64, height: f64, title: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" \
         font-size=\"11\" font-family=\"system-ui,sans-serif\"><title>{}</title>",
        escape(title)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_drawn() {
        let section = Section {
            title: "A <b>".to_string(),
            text: String::new(),
            sql: "select 1 < 2".to_string(),
            columns: vec![("NAME".to_string(), false), ("VALUE".to_string(), true)],
            rows: vec![vec![Some("x & y".to_string()), Some("3.5".to_string())]],
            plot: Plot::Bars { label: 0, value: 1 },
        };
        let html = page(&[section]);
        assert!(html.contains("A &lt;b&gt;"));
        assert!(html.contains("x &amp; y"));
        assert!(html.contains("<rect"));
        assert!(html.contains(">3.5</text>"));
    }
}
