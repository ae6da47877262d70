//! The timelines of one stack as a picture (SVG).

use std::{fmt::Write as _, time::Duration};

use crate::{Who, timeline::Timeline};

const LEFT: f64 = 110.0;
const WIDTH: f64 = 760.0;
const ROW: f64 = 18.0;

/// All of them below one another, with one scale of time.
pub(crate) fn picture(stack: &str, timelines: &[(Who, Timeline)]) -> String {
    let longest = timelines.iter().map(|(_, timeline)| timeline.whole).max().unwrap_or_default();
    let at = |time: Duration| LEFT + WIDTH * time.as_secs_f64() / longest.as_secs_f64();
    let rows: usize = timelines.iter().map(|(_, timeline)| timeline.services.len() + 2).sum();
    let (width, height) = (LEFT + WIDTH + 30.0, 50.0 + ROW * (rows as f64));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"8\" y=\"16\" font-size=\"13\">The stack {stack}, from create to ready</text>\n\
         <text x=\"8\" y=\"31\">Grey: waits to be started. Orange: started. Green: answers; one that only a command inside can ask \
         does once the engine ran its health check. Line: told ready.</text>\n"
    );
    let mut y = 34.0;
    for (who, timeline) in timelines {
        let end = timeline.whole;
        let _ = writeln!(
            svg,
            "<text x=\"8\" y=\"{:.1}\" font-weight=\"bold\">{} {:.2} s</text>",
            y + 12.0,
            format!("{who:?}").to_lowercase(),
            end.as_secs_f64()
        );
        y += ROW;
        let top = y;
        for (name, moments) in &timeline.services {
            let _ = writeln!(svg, "<text x=\"8\" y=\"{:.1}\">{name}</text>", y + 12.0);
            let answered = moments.ready.unwrap_or(moments.started).min(end);
            let bars = [
                (moments.created, moments.started, "#ddd"),
                (moments.started, answered, "#e8963a"),
                (answered, end, "#6aa66a"),
            ];
            for (from, to, colour) in bars {
                let _ = writeln!(
                    svg,
                    "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>",
                    at(from),
                    y + 3.0,
                    (at(to) - at(from)).max(0.0),
                    ROW - 5.0
                );
            }
            y += ROW;
        }
        let _ = writeln!(
            svg,
            "<line x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{top:.1}\" y2=\"{y:.1}\" stroke=\"#000\"/>",
            at(end)
        );
        y += ROW;
    }
    svg + "</svg>\n"
}
