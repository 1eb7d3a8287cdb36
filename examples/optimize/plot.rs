//! The plot: rewards by day, and the thresholds below them.

use std::fmt::Write;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 20.0;

/// One day of both tenants.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Day {
    pub(crate) optimized: f64,
    pub(crate) fixed: f64,
    pub(crate) fast_threshold: f64,
    pub(crate) slow_threshold: f64,
    pub(crate) changed: bool,
    pub(crate) rolled_back: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Plot {
    pub(crate) days: Vec<Day>,
    /// The day from which the words mean something else.
    pub(crate) drift: usize,
}

/// A part of the picture with an axis of its own.
struct Panel {
    top: f64,
    height: f64,
    low: f64,
    high: f64,
}

impl Panel {
    fn y(&self, value: f64) -> f64 {
        self.top + self.height * (1.0 - (value - self.low) / (self.high - self.low))
    }
}

impl Plot {
    /// The mean rewards of the optimized tenant and of the other.
    pub(crate) fn means(&self) -> (f64, f64) {
        let days = self.days.len().max(1) as f64;
        let sum = |of: fn(&Day) -> f64| self.days.iter().map(of).sum::<f64>() / days;
        (sum(|day| day.optimized), sum(|day| day.fixed))
    }

    fn x(&self, day: usize) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * day as f64 / self.days.len().saturating_sub(1).max(1) as f64
    }

    pub(crate) fn to_svg(&self) -> String {
        let values = self.days.iter().flat_map(|day| [day.optimized, day.fixed]);
        let (low, high) = values.fold((1.0_f64, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        let low = (low * 20.0).floor() / 20.0;
        let high = ((high * 20.0).ceil() / 20.0).max(low + 0.05);
        let rewards = Panel { top: 50.0, height: 250.0, low, high };
        let thresholds = Panel { top: 360.0, height: 110.0, low: 0.0, high: 1.0 };
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} 520\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"{WIDTH}\" height=\"520\" fill=\"#ffffff\"/>\n\
             <text x=\"{LEFT}\" y=\"24\" font-size=\"16\" fill=\"#222\">Reward by day</text>\n"
        );
        self.grid(&mut svg, &rewards, 0.05);
        self.grid(&mut svg, &thresholds, 0.25);
        let x = self.x(self.drift);
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"50\" y2=\"470\" stroke=\"#999\" stroke-dasharray=\"4 4\"/>\n\
             <text x=\"{:.1}\" y=\"62\" fill=\"#777\">words change their meaning</text>",
            x + 6.0
        );
        for (number, day) in self.days.iter().enumerate().filter(|(_, day)| day.changed || day.rolled_back) {
            let (x, color) = (self.x(number), if day.changed { "#2a7f3f" } else { "#c0392b" });
            let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"310\" r=\"4\" fill=\"{color}\"/>");
        }
        self.line(&mut svg, &rewards, "#2a7f3f", |day| day.optimized);
        self.line(&mut svg, &rewards, "#8a8a8a", |day| day.fixed);
        self.line(&mut svg, &thresholds, "#1f5fa8", |day| day.fast_threshold);
        self.line(&mut svg, &thresholds, "#c77f1a", |day| day.slow_threshold);
        let _ = writeln!(svg, "<text x=\"{LEFT}\" y=\"346\" font-size=\"14\" fill=\"#222\">Thresholds</text>");
        for (place, (color, name)) in [
            ("#2a7f3f", "optimized (dots: changes; red: taken back)"),
            ("#8a8a8a", "static"),
            ("#1f5fa8", "fast path"),
            ("#c77f1a", "slow path"),
        ]
        .into_iter()
        .enumerate()
        {
            let x = LEFT + [0.0, 330.0, 430.0, 540.0].get(place).copied().unwrap_or_default();
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"496\" width=\"12\" height=\"12\" fill=\"{color}\"/><text x=\"{}\" y=\"506\" fill=\"#333\">{name}</text>",
                x + 18.0
            );
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn grid(&self, svg: &mut String, panel: &Panel, step: f64) {
        let steps = ((panel.high - panel.low) / step).round() as usize;
        for number in 0..=steps {
            let value = panel.low + step * number as f64;
            let y = panel.y(value);
            let _ = writeln!(
                svg,
                "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#e4e4e4\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#666\">{value:.2}</text>",
                WIDTH - RIGHT,
                LEFT - 8.0,
                y + 4.0
            );
        }
        for day in (0..self.days.len()).step_by(5) {
            let (x, y) = (self.x(day), panel.top + panel.height + 16.0);
            let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\" fill=\"#666\">{day}</text>");
        }
    }

    fn line(&self, svg: &mut String, panel: &Panel, color: &str, of: fn(&Day) -> f64) {
        let point = |(number, day): (usize, &Day)| format!("{:.1},{:.1}", self.x(number), panel.y(of(day)));
        let points: Vec<String> = self.days.iter().enumerate().map(point).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"2\"/>",
            points.join(" ")
        );
    }
}
