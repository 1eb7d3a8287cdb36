//! A self-contained HTML report with SVG charts.

use super::{report::TenantReport, statistics::percentile};
use std::fmt::Write;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 200.0;
/// The number of bars in the histogram.
const BINS: usize = 24;

const STYLE: &str = "body{font:15px system-ui,sans-serif;margin:2rem auto;max-width:760px;color:#1c2430}\
h2{margin:2.5rem 0 .25rem}h3{font-size:1rem;margin:1.25rem 0 .25rem;color:#4a5568}svg{background:#f7f9fb;border-radius:6px}\
table{border-collapse:collapse;width:100%}td,th{padding:.2rem .5rem;text-align:right;border-bottom:1px solid #e2e8f0}\
td:first-child,th:first-child{text-align:left}.k{color:#4a5568}";

/// Renders an HTML page with each tenant's statistics: requests and durations per hour, the distribution of
/// durations, and errors.
#[must_use]
pub fn html_report(reports: &[TenantReport]) -> String {
    let mut page =
        String::from("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Tenant analytics</title><style>");
    page.push_str(STYLE);
    page.push_str("</style><h1>Tenant analytics</h1>");
    for report in reports {
        tenant(&mut page, report);
    }
    page.push_str("</html>\n");
    page
}

/// Names of projects, operations and errors are untrusted text.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

fn tenant(page: &mut String, report: &TenantReport) {
    let s = &report.statistics;
    put(
        page,
        format_args!(
            "<h2>{}</h2><p class=k>{} to {}</p>",
            escaped(report.project.as_str()),
            report.window.from(),
            report.window.to()
        ),
    );
    let (Some(d), Some(success)) = (s.durations, s.success_rate) else {
        page.push_str("<p>No traces in this time.</p>");
        return;
    };
    put(
        page,
        format_args!(
            "<p><b>{}</b> requests, <b>{:.2} %</b> went well. Milliseconds: mean {:.1}, p50 {:.1}, p75 {:.1}, p90 {:.1}, \
             p95 {:.1}, p99 {:.1}; {} outliers.</p>",
            s.count,
            success * 100.0,
            d.mean,
            d.p50,
            d.p75,
            d.p90,
            d.p95,
            d.p99,
            s.outliers.len()
        ),
    );
    page.push_str("<h3>Requests per hour; p50 (line) and p95 (dashes) in milliseconds</h3>");
    hours(page, report);
    page.push_str("<h3>Spread of times, in milliseconds (the slowest 1 % in the last bar)</h3>");
    histogram(page, report);
    page.push_str(
        "<h3>Operations</h3><table><tr><th>operation<th>count<th>errors<th>mean ms<th>p50<th>p95<th>p99</tr>",
    );
    for (name, group) in &s.by_operation {
        let d = group.durations;
        put(
            page,
            format_args!(
                "<tr><td>{}<td>{}<td>{}<td>{:.1}<td>{:.1}<td>{:.1}<td>{:.1}</tr>",
                escaped(name),
                group.count,
                group.errors,
                d.mean,
                d.p50,
                d.p95,
                d.p99
            ),
        );
    }
    page.push_str("</table>");
    if !s.errors_by_type.is_empty() {
        page.push_str("<h3>Errors</h3><table><tr><th>type<th>count</tr>");
        for (kind, count) in &s.errors_by_type {
            put(page, format_args!("<tr><td>{}<td>{count}</tr>", escaped(kind)));
        }
        page.push_str("</table>");
    }
}

/// Writing to a `String` cannot fail.
fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = page.write_fmt(text);
}

#[expect(clippy::cast_precision_loss, reason = "numbers of traces and hours")]
fn hours(page: &mut String, report: &TenantReport) {
    let hours = &report.statistics.by_hour;
    let (Some(first), Some(last)) = (hours.first(), hours.last()) else { return };
    let slots = ((last.hour.as_second() - first.hour.as_second()) / 3600 + 1) as f64;
    let slot = WIDTH / slots;
    let most = hours.iter().map(|hour| hour.group.count).max().unwrap_or(1).max(1) as f64;
    let slowest = hours.iter().map(|hour| hour.group.durations.p95).fold(f64::MIN_POSITIVE, f64::max);
    let x = |at: jiff::Timestamp| (at.as_second() - first.hour.as_second()) as f64 / 3600.0 * slot;
    let y = |milliseconds: f64| HEIGHT - milliseconds / slowest * (HEIGHT - 24.0);
    begin(page);
    for hour in hours {
        let tall = hour.group.count as f64 / most * (HEIGHT - 24.0);
        put(
            page,
            format_args!(
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{tall:.1}\" fill=\"#bcd4ee\"><title>{}: {} requests, {} errors</title></rect>",
                x(hour.hour) + slot * 0.1,
                HEIGHT - tall,
                slot * 0.8,
                hour.hour,
                hour.group.count,
                hour.group.errors
            ),
        );
    }
    let line = |page: &mut String, style: &str, value: &dyn Fn(&super::statistics::Durations) -> f64| {
        let points: Vec<String> = hours
            .iter()
            .map(|hour| format!("{:.1},{:.1}", x(hour.hour) + slot / 2.0, y(value(&hour.group.durations))))
            .collect();
        put(
            page,
            format_args!(
                "<polyline points=\"{}\" fill=\"none\" stroke=\"#2b6cb0\" stroke-width=\"2\" {style}/>",
                points.join(" ")
            ),
        );
        for point in points.iter().filter_map(|point| point.split_once(',')) {
            put(page, format_args!("<circle cx=\"{}\" cy=\"{}\" r=\"3\" fill=\"#2b6cb0\"/>", point.0, point.1));
        }
    };
    line(page, "", &|d| d.p50);
    line(page, "stroke-dasharray=\"5 4\"", &|d| d.p95);
    label(page, 4.0, 14.0, &format!("{slowest:.1} ms, {most} requests"));
    page.push_str("</svg>");
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers of traces and places of bars"
)]
fn histogram(page: &mut String, report: &TenantReport) {
    let mut times: Vec<f64> = report.traces.iter().map(|trace| trace.milliseconds).collect();
    times.sort_by(f64::total_cmp);
    let end = percentile(&times, 0.99).max(f64::MIN_POSITIVE);
    let mut bins = [0usize; BINS];
    for time in times {
        let place = ((time / end * BINS as f64) as usize).min(BINS - 1);
        if let Some(bin) = bins.get_mut(place) {
            *bin += 1;
        }
    }
    let most = bins.iter().copied().max().unwrap_or(1).max(1) as f64;
    let slot = WIDTH / BINS as f64;
    begin(page);
    for (place, count) in bins.iter().enumerate() {
        let tall = *count as f64 / most * (HEIGHT - 24.0);
        let (from, to) = (place as f64 / BINS as f64 * end, (place + 1) as f64 / BINS as f64 * end);
        put(
            page,
            format_args!(
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{tall:.1}\" fill=\"#7fb08f\"><title>{from:.1} to {to:.1} ms: {count}</title></rect>",
                place as f64 * slot + 1.0,
                HEIGHT - tall,
                slot - 2.0
            ),
        );
    }
    label(page, 4.0, 14.0, "0 ms");
    label(page, WIDTH - 90.0, 14.0, &format!("{end:.1} ms"));
    page.push_str("</svg>");
}

fn begin(page: &mut String) {
    put(
        page,
        format_args!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\">"),
    );
}

fn label(page: &mut String, x: f64, y: f64, text: &str) {
    put(page, format_args!("<text x=\"{x}\" y=\"{y}\" font-size=\"12\" fill=\"#4a5568\">{}</text>", escaped(text)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TraceMetrics;
    use cogniverse_sdk::telemetry_provider::{ProjectName, Span, SpanId, SpanStatus, TimeWindow, TraceId};
    use jiff::Timestamp;

    #[test]
    fn names_are_text_and_nothing_is_loaded() -> cogniverse_sdk::Result<()> {
        let at = |second| Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
        let evil = "</table><script>alert(1)</script>";
        let span = Span::new(TraceId::parse("aa")?, SpanId::parse("bb")?, evil, at(10), at(12))
            .with_status(SpanStatus::Error, evil);
        let window = TimeWindow::new(at(0), at(7200))?;
        let report = TenantReport::of(ProjectName::parse("acme <b>")?, window, vec![TraceMetrics::of(&span)]);
        let empty = TenantReport::of(ProjectName::parse("globex")?, window, Vec::new());
        let page = html_report(&[report, empty]);
        assert!(!page.contains("<script") && !page.contains("<b>acme") && page.contains("&lt;script&gt;"));
        assert!(!page.contains("http") && !page.contains("NaN") && page.contains("No traces in this time"));
        assert_eq!(page.matches("<svg").count(), 2);
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
        Ok(())
    }
}
