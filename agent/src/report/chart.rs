//! Charts as inline SVG: bars and ranges, drawn with the page's colours.
//!
//! Each has a title and a description for those who do not see it; what it shows stands in a table, too.

use std::io::{self, Write};

use super::html::{Escaped, milliseconds};

const WIDTH: f64 = 720.0;
const LABELS: f64 = 250.0;
const ROW: f64 = 22.0;

/// A bar of a histogram.
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) count: u64,
}

/// Three quantiles of one endpoint, in milliseconds.
pub(super) struct Range {
    pub(super) label: String,
    pub(super) p50: f64,
    pub(super) p90: f64,
    pub(super) p99: f64,
}

/// Upright bars beside each other.
pub(super) fn bars(out: &mut dyn Write, id: &str, title: &str, bars: &[Bar]) -> io::Result<()> {
    let height = 190.0;
    let floor = height - 26.0;
    let most = bars.iter().map(|bar| bar.count).max().unwrap_or(0).max(1) as f64;
    let step = WIDTH / bars.len().max(1) as f64;
    open(out, id, title, height)?;
    for (index, bar) in bars.iter().enumerate() {
        let tall = (floor - 20.0) * bar.count as f64 / most;
        let left = step * index as f64;
        let middle = left + step / 2.0;
        write!(
            out,
            "<rect class=\"bar\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{tall:.1}\" rx=\"3\"/>\
             <text class=\"t\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text class=\"t soft\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            left + 3.0,
            floor - tall,
            step - 6.0,
            floor - tall - 5.0,
            bar.count,
            height - 8.0,
            Escaped(&bar.label)
        )?;
    }
    out.write_all(b"</svg></figure>\n")
}

/// One line for each: a bar from the median to the 99th percentile with a dot at the 90th, on a logarithmic scale.
pub(super) fn ranges(out: &mut dyn Write, id: &str, title: &str, ranges: &[Range]) -> io::Result<()> {
    let low = ranges
        .iter()
        .map(|range| range.p50)
        .fold(f64::INFINITY, f64::min)
        .max(0.01);
    let high = ranges
        .iter()
        .map(|range| range.p99)
        .fold(0.0, f64::max)
        .max(low * 10.0);
    let (first, last) = (low.log10().floor(), high.log10().ceil());
    let room = WIDTH - LABELS - 60.0;
    let place = |ms: f64| LABELS + room * (ms.max(low).log10() - first) / (last - first);
    let bottom = ROW * ranges.len() as f64 + 8.0;
    open(out, id, title, bottom + 22.0)?;
    for power in first as i32..=last as i32 {
        let x = place(10f64.powi(power));
        write!(
            out,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"4\" y2=\"{bottom:.1}\"/>\
             <text class=\"t soft\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            bottom + 16.0,
            milliseconds(10f64.powi(power))
        )?;
    }
    for (index, range) in ranges.iter().enumerate() {
        let y = ROW * index as f64 + ROW / 2.0 + 4.0;
        let (from, to) = (place(range.p50), place(range.p99));
        write!(
            out,
            "<text class=\"t\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <rect class=\"bar\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"8\" rx=\"4\"/>\
             <circle class=\"dot\" cx=\"{:.1}\" cy=\"{y:.1}\" r=\"3\"/>\
             <text class=\"t soft\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            LABELS - 10.0,
            y + 4.0,
            Escaped(&short(&range.label)),
            y - 4.0,
            (to - from).max(8.0),
            place(range.p90),
            to.max(from + 8.0) + 6.0,
            y + 4.0,
            milliseconds(range.p99)
        )?;
    }
    out.write_all(b"</svg></figure>\n")
}

/// A share of a whole as a small bar.
pub(super) fn share(out: &mut dyn Write, percent: f64, class: &str) -> io::Result<()> {
    let filled = percent.clamp(0.0, 100.0);
    write!(
        out,
        "<svg class=\"share\" viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect class=\"track\" width=\"100\" height=\"8\"/><rect class=\"fill {class}\" width=\"{filled:.1}\" height=\"8\"/></svg>"
    )
}

fn open(out: &mut dyn Write, id: &str, title: &str, height: f64) -> io::Result<()> {
    write!(
        out,
        "<figure class=\"chart\"><figcaption>{title}</figcaption>\
         <svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-labelledby=\"{id}\"><title id=\"{id}\">{title}</title>"
    )
}

/// The end of a label that is too long says most: the last segments of a path.
fn short(label: &str) -> String {
    let length = label.chars().count();
    match length > 36 {
        true => std::iter::once('…')
            .chain(label.chars().skip(length - 35))
            .collect(),
        false => label.to_owned(),
    }
}
