//! The HTML report: one file, no script, no outside resource.

use std::fmt::Write;

use crate::quickstart::chart::{chart, escape};
use crate::quickstart::steps::Plot;

/// One executed statement, as the report shows it.
pub struct Section {
    pub title: String,
    pub text: String,
    pub sql: String,
    pub columns: Vec<(String, bool)>,
    pub rows: Vec<Vec<Option<String>>>,
    pub plot: Option<Plot>,
}

impl Section {
    /// The answer of a statement that only says what it did.
    pub fn status(&self) -> Option<&str> {
        let [(name, _)] = self.columns.as_slice() else { return None };
        let [row] = self.rows.as_slice() else { return None };
        (name == "status").then_some(row.first()?.as_deref()).flatten()
    }

    /// The value of a column in a row.
    pub fn cell(&self, row: usize, column: &str) -> Option<&str> {
        let place = self.columns.iter().position(|(name, _)| name == column)?;
        self.rows.get(row)?.get(place)?.as_deref()
    }
}

/// A figure at the top: a cell of a statement's answer.
pub struct Figure {
    pub label: &'static str,
    pub value: String,
    /// Place of the statement in the page.
    pub section: usize,
}

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b2733;--soft:#5c6b7a;--paper:#fff;--panel:#f5f7fa;\
--line:#dfe5eb;--c0:#2f6f9f;--c1:#d1603d;--c2:#4e8f5a;--c3:#8a63b5;--c4:#b98a16;--c5:#2f938c;\
--c6:#b0497d;--c7:#6b7785}\
@media(prefers-color-scheme:dark){:root{--ink:#e3e9ef;--soft:#9fb0c0;--paper:#12181f;\
--panel:#1b242e;--line:#2d3a47;--c0:#6db1e0;--c1:#f08f6d;--c2:#86c793;--c3:#bd9ce3;--c4:#e0bb5c;\
--c5:#6fcdc5;--c6:#e58bb6;--c7:#a5b1bd}}\
body{font:16px/1.55 system-ui,'Segoe UI','DejaVu Sans',sans-serif;max-width:50rem;margin:2.5rem auto 4rem;\
padding:0 1.2rem;color:var(--ink);background:var(--paper)}\
h1{font-size:1.9rem;line-height:1.2;margin:0 0 .4rem}\
h2{font-size:1.3rem;margin:2.8rem 0 .3rem;border-top:1px solid var(--line);padding-top:1.4rem}\
p{margin:.4rem 0 .8rem}.lead{color:var(--soft)}\
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(13rem,1fr));gap:.7rem;margin:1.4rem 0}\
.figures a{background:var(--panel);border:1px solid var(--line);border-radius:8px;\
padding:.7rem .9rem;color:inherit;text-decoration:none}\
.figures b{display:block;font-size:1.5rem;font-variant-numeric:tabular-nums}\
.figures span{color:var(--soft);font-size:.82rem}\
nav{font-size:.9rem;color:var(--soft)}nav a{color:var(--c0);margin-right:.9rem;white-space:nowrap}\
details{margin:.9rem 0 .5rem;background:var(--panel);border:1px solid var(--line);border-radius:8px}\
summary{cursor:pointer;padding:.45rem .8rem;font-size:.82rem;color:var(--soft)}\
pre{margin:0;padding:.1rem .9rem .8rem;overflow-x:auto;font:.82rem/1.45 ui-monospace,'DejaVu Sans Mono',monospace}\
figure{margin:1.2rem 0}svg{display:block;width:100%;height:auto;font:12px system-ui,'DejaVu Sans',sans-serif}\
svg .t{font-size:16px;font-weight:600;fill:var(--ink)}svg .a,svg .l{fill:var(--soft);font-size:12px}\
svg .m{fill:var(--soft)}svg .v{fill:var(--ink);font-size:11px}\
svg .grid{stroke:var(--line)}svg .axis{stroke:var(--soft)}\
svg .l{paint-order:stroke;stroke:var(--paper);stroke-width:3px;stroke-linejoin:round}svg .limit{stroke:var(--soft);stroke-dasharray:5 4}\
.table{overflow-x:auto}details .table{padding:0 .9rem .8rem}table{border-collapse:collapse;font-size:.85rem}\
th,td{padding:.28rem .8rem .28rem 0;border-bottom:1px solid var(--line);text-align:left;white-space:nowrap}\
th{color:var(--soft);font-weight:600}td.w{white-space:normal;word-break:break-word;max-width:26rem}\
.n{text-align:right;font-variant-numeric:tabular-nums}.more{color:var(--soft);font-size:.85rem}";
/// Rows shown of a long table.
const ROWS_SHOWN: usize = 40;
/// Rows of a table that is shown unfolded where it has no chart.
const ROWS_OPEN: usize = 12;
/// A statement up to this many lines is shown unfolded.
const LINES_OPEN: usize = 7;
/// Longer texts wrap in tables.
const WIDE: usize = 48;

/// The whole page.
pub fn page(figures: &[Figure], sections: &[Section]) -> String {
    let mut html = String::new();
    let _ = write!(
        html,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>Frazil quickstart</title><style>{STYLE}</style></head><body>\
         <h1>Will this flight leave late?</h1>\
         <p class=\"lead\">The Frazil quickstart on the flights of New York City, 2013. Every number \
         on this page is in the answer of a statement on this page.</p><div class=\"figures\">"
    );
    for figure in figures {
        let _ = write!(
            html,
            "<a href=\"#s{}\"><b>{}</b><span>{}</span></a>",
            figure.section + 1,
            escape(&figure.value),
            figure.label
        );
    }
    html.push_str("</div><nav>");
    for (place, section) in sections.iter().enumerate().filter(|(_, s)| !s.title.is_empty()) {
        let _ = write!(html, "<a href=\"#s{}\">{}</a> ", place + 1, escape(&section.title));
    }
    html.push_str("</nav>");
    for (place, section) in sections.iter().enumerate() {
        let _ = write!(html, "<section id=\"s{}\">", place + 1);
        if !section.title.is_empty() {
            let _ = write!(html, "<h2>{}</h2>", escape(&section.title));
        }
        if !section.text.is_empty() {
            let _ = write!(html, "<p>{}</p>", escape(&section.text));
        }
        let data = &section.rows;
        let drawn = section.plot.as_ref().map(|plot| chart(plot, data)).unwrap_or_default();
        let open = if section.sql.lines().count() <= LINES_OPEN { " open" } else { "" };
        let _ = write!(
            html,
            "<details{open}><summary>Statement {}</summary><pre>{}</pre></details>",
            place + 1,
            escape(&section.sql)
        );
        if !drawn.is_empty() {
            let _ = write!(html, "<figure>{drawn}</figure>");
        }
        html.push_str(&table(section));
        html.push_str("</section>");
    }
    html.push_str("</body></html>\n");
    html
}

fn table(section: &Section) -> String {
    if let Some(status) = section.status() {
        return format!("<p class=\"more\">→ {}</p>", escape(status));
    }
    let rows = section.rows.len();
    if rows > ROWS_OPEN && section.plot.is_none() {
        let table = rows_table(section);
        return format!("<details><summary>{rows} rows</summary>{table}</details>");
    }
    rows_table(section)
}

fn rows_table(section: &Section) -> String {
    let class = |number: &bool| if *number { " class=\"n\"" } else { "" };
    let mut html = String::from("<div class=\"table\"><table><thead><tr>");
    for (name, number) in &section.columns {
        let _ = write!(html, "<th{}>{}</th>", class(number), escape(name));
    }
    html.push_str("</tr></thead><tbody>");
    for row in section.rows.iter().take(ROWS_SHOWN) {
        html.push_str("<tr>");
        for (value, (_, number)) in row.iter().zip(&section.columns) {
            let text = value.as_deref().unwrap_or("NULL");
            let wide = text.chars().count() > WIDE;
            let class = if wide { " class=\"w\"" } else { class(number) };
            let _ = write!(html, "<td{class}>{}</td>", escape(text));
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table></div>");
    if section.rows.len() > ROWS_SHOWN {
        let _ = write!(
            html,
            "<p class=\"more\">{} rows, the first {ROWS_SHOWN} shown.</p>",
            section.rows.len()
        );
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quickstart::steps::Kind;

    #[test]
    fn the_page_shows_what_the_statements_answered_and_needs_nothing_else() {
        let section = Section {
            title: "A <b>".to_string(),
            text: String::new(),
            sql: "select 1 < 2".to_string(),
            columns: vec![("NAME".to_string(), false), ("VALUE".to_string(), true)],
            rows: vec![vec![Some("x & y".to_string()), Some("3.5".to_string())]],
            plot: Some(Plot {
                title: "T",
                x: "X",
                y: "Y",
                kind: Kind::Columns { label: 0, series: &[(1, "value")] },
            }),
        };
        assert_eq!(section.cell(0, "VALUE"), Some("3.5"));
        assert_eq!((section.cell(1, "VALUE"), section.cell(0, "NOPE")), (None, None));
        let figure = Figure { label: "figure", value: "3.5".to_string(), section: 0 };
        let html = page(&[figure], &[section]);
        for part in ["A &lt;b&gt;", "x &amp; y", "<rect", ">3.5</text>", "select 1 &lt; 2", "#s1"] {
            assert!(html.contains(part), "{part}");
        }
        for outside in ["http:", "https:", "<script", "<link", "url(", "@import"] {
            assert!(!html.contains(outside), "{outside}");
        }
    }
}
