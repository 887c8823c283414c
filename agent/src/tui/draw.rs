//! Draws the state: a line with the figures, the views, a table, details, the keys.
//!
//! Text from the network is made harmless first. Only rows that fit are laid out, however many there are.

use std::collections::VecDeque;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style, Stylize as _},
    text::{Line, Span},
    widgets::{Block, Cell, Paragraph, Row, Table, Wrap},
};
use serde::Serialize;
use serde_json::Value;

use super::state::{State, View};
use crate::{verdict::Severity, visible::visible};

const HONEY: Color = Color::Yellow;

/// Columns of a sparkline in the table, and in the headline.
const SPARK: usize = 10;

pub(super) fn draw(frame: &mut Frame<'_>, state: &mut State) {
    let [head, tabs, body, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(headline(state), head);
    frame.render_widget(views(state), tabs);
    let (list, detail) = match state.is_detailed {
        true => {
            let [list, detail] =
                Layout::vertical([Constraint::Percentage(40), Constraint::Percentage(60)]).areas(body);
            (list, Some(detail))
        }
        false => (body, None),
    };
    table(frame, state, list);
    if let Some(area) = detail {
        let block = Block::bordered()
            .title(" Details ")
            .border_style(Style::new().fg(HONEY));
        frame.render_widget(
            Paragraph::new(details(state))
                .block(block)
                .wrap(Wrap { trim: false }),
            area,
        );
    }
    frame.render_widget(footer(state), keys);
}

fn headline(state: &State) -> Line<'static> {
    let open = state
        .alerts
        .iter()
        .filter(|alert| alert.kind == crate::verdict::AlertKind::Incident)
        .count();
    let alarm = if open > 0 {
        Style::new().fg(Color::Red).bold()
    } else {
        Style::new()
    };
    let lost: u64 = state.status.lost.values().sum();
    Line::from(vec![
        Span::styled("⬢ apiarist  ", Style::new().fg(HONEY).bold()),
        Span::raw(match state.is_complete {
            true => format!(
                "{} endpoints  {} workloads  ",
                state.endpoints.len(),
                state.workloads.len()
            ),
            false => "…  ".to_owned(),
        }),
        Span::styled(format!("{open} incidents  "), alarm),
        Span::raw(if lost > 0 { "some lost  " } else { "" }),
        Span::styled(spark(&state.total, SPARK), Style::new().fg(HONEY)),
        Span::raw(format!(" {}/s", state.total.back().copied().unwrap_or(0))),
    ])
}

fn views(state: &State) -> Line<'static> {
    let mut spans = Vec::new();
    for (number, view) in View::ALL.into_iter().enumerate() {
        let style = match view == state.view {
            true => Style::new().fg(Color::Black).bg(HONEY).bold(),
            false => Style::new().dim(),
        };
        spans.push(Span::styled(format!(" {} {} ", number + 1, view.name()), style));
        spans.push(Span::raw(" "));
    }
    Line::from(spans)
}

fn footer(state: &State) -> Line<'static> {
    if state.is_searching {
        return Line::from(vec![
            Span::styled("search: ", Style::new().fg(HONEY)),
            Span::raw(format!("{}▏", visible(&state.search))),
        ]);
    }
    if let Some(trouble) = &state.trouble {
        return Line::from(visible(trouble).into_owned()).fg(Color::Red);
    }
    let found = match state.search.is_empty() {
        true => String::new(),
        false => format!("[{}] ", visible(&state.search)),
    };
    Line::from(vec![
        Span::styled(found, Style::new().fg(HONEY)),
        Span::styled(
            format!(
                "q quit  ↑↓ select  ⏎ details  / search  s sort: {}  tab view",
                state.order.name()
            ),
            Style::new().dim(),
        ),
    ])
}

fn table(frame: &mut Frame<'_>, state: &mut State, area: Rect) {
    state.page = usize::from(area.height.saturating_sub(1));
    if state.rows.is_empty() {
        let text = match (state.is_complete, state.search.is_empty()) {
            (false, _) => "Waiting for the first answer …",
            (true, true) => "Nothing yet.",
            (true, false) => "Nothing matches the search.",
        };
        frame.render_widget(Paragraph::new(text).dim(), area);
        return;
    }
    // A window of rows with the selected one in it.
    let first = (state.selected + 1).saturating_sub(state.page.max(1));
    let rows = state.rows.iter().enumerate().skip(first).take(state.page);
    let rows: Vec<Row<'_>> = rows
        .map(|(number, place)| {
            let style = match number == state.selected {
                true => Style::new().add_modifier(Modifier::REVERSED),
                false => Style::new(),
            };
            cells(state, *place).style(style)
        })
        .collect();
    let (heads, widths): (&[&str], Vec<Constraint>) = match state.view {
        View::Endpoints => (
            &["RISK", "WORKLOAD", "METHOD", "PATH", "HITS", "P99 MS", "LATELY"],
            vec![
                Constraint::Length(4),
                Constraint::Length(14),
                Constraint::Length(7),
                Constraint::Fill(1),
                Constraint::Length(9),
                Constraint::Length(8),
                Constraint::Length(SPARK as u16),
            ],
        ),
        View::Workloads => (
            &["NAME", "KIND", "ENDPOINTS", "HITS", "CALLERS"],
            vec![
                Constraint::Fill(2),
                Constraint::Length(10),
                Constraint::Length(9),
                Constraint::Length(10),
                Constraint::Fill(3),
            ],
        ),
        View::Alerts => (
            &["UPDATED", "SEVERITY", "CLASS", "ENDPOINT", "ACTOR", "COUNT"],
            vec![
                Constraint::Length(8),
                Constraint::Length(8),
                Constraint::Length(16),
                Constraint::Fill(2),
                Constraint::Fill(1),
                Constraint::Length(6),
            ],
        ),
        View::Coverage => (
            &["WORKLOAD", "BYTES", "READ", "", "UNREADABLE"],
            vec![
                Constraint::Fill(1),
                Constraint::Length(12),
                Constraint::Length(7),
                Constraint::Length(12),
                Constraint::Fill(1),
            ],
        ),
    };
    let header = Row::new(heads.iter().map(|head| Cell::from(*head))).style(Style::new().bold().dim());
    frame.render_widget(Table::new(rows, widths).header(header).column_spacing(1), area);
}

/// A row of the present view.
fn cells(state: &State, place: usize) -> Row<'static> {
    let text = |text: &str| Cell::from(visible(text).into_owned());
    let right = |text: String| Cell::from(Line::from(text).right_aligned());
    match state.view {
        View::Endpoints => {
            let Some(one) = state.endpoints.get(place) else {
                return Row::default();
            };
            let risk = one.risk.unwrap_or(0.0);
            let p99 = one.latency_ms.p99.map_or("-".to_owned(), |ms| format!("{ms:.1}"));
            let lately = state
                .samples(one.id)
                .map_or_else(String::new, |samples| spark(samples, SPARK));
            Row::new(vec![
                right(format!("{risk:.0}")).style(Style::new().fg(risk_colour(risk))),
                text(&one.workload),
                text(&one.method),
                text(one.operation.as_ref().unwrap_or(&one.template)),
                right(one.hits.to_string()),
                right(p99),
                Cell::from(lately).style(Style::new().fg(HONEY)),
            ])
        }
        View::Workloads => {
            let Some(one) = state.workloads.get(place) else {
                return Row::default();
            };
            Row::new(vec![
                text(&one.name),
                text(&name(&one.kind)),
                right(one.endpoints.to_string()),
                right(one.hits.to_string()),
                text(&one.callers.join(", ")),
            ])
        }
        View::Alerts => {
            let Some(one) = state.alerts.get(place) else {
                return Row::default();
            };
            Row::new(vec![
                text(one.updated.get(11..19).unwrap_or(&one.updated)),
                Cell::from(one.severity.as_str()).style(Style::new().fg(colour(one.severity))),
                text(&one.class),
                text(one.endpoint_name.as_deref().unwrap_or("-")),
                text(&one.actor),
                right(one.count.to_string()),
            ])
        }
        View::Coverage => {
            let Some(one) = state.status.coverage.get(place) else {
                return Row::default();
            };
            let filled = (one.read_pct / 10.0).round().clamp(0.0, 10.0) as usize;
            let unreadable: Vec<String> = one
                .unreadable
                .iter()
                .map(|reason| format!("{} {}", reason.reason, reason.bytes))
                .collect();
            Row::new(vec![
                text(&one.workload),
                right(one.bytes.to_string()),
                right(format!("{:.1}%", one.read_pct)),
                Cell::from(format!("{}{}", "█".repeat(filled), "░".repeat(10 - filled)))
                    .style(Style::new().fg(Color::Green)),
                text(&unreadable.join(", ")),
            ])
        }
    }
}

/// The selected row, whole: a line for each member.
fn details(state: &State) -> Vec<Line<'static>> {
    let Some(place) = state.rows.get(state.selected) else {
        return Vec::new();
    };
    match state.view {
        View::Endpoints => {
            let endpoint = state.endpoints.get(*place);
            let row = endpoint.and_then(|endpoint| serde_json::from_str::<Value>(&endpoint.line).ok());
            members(row.as_ref())
        }
        View::Workloads => members(state.workloads.get(*place)),
        View::Alerts => {
            let Some(alert) = state.alerts.get(*place) else {
                return Vec::new();
            };
            let mut lines: Vec<Line<'_>> = Vec::new();
            for reason in &alert.reasons {
                let text = format!("{}: {}", reason.group.as_str(), reason.text);
                lines.push(Line::from(visible(&text).into_owned()));
            }
            lines.extend(members(Some(alert)));
            lines
        }
        View::Coverage => members(state.status.coverage.get(*place)),
    }
}

fn members(row: Option<&impl Serialize>) -> Vec<Line<'static>> {
    let row = row
        .and_then(|row| serde_json::to_value(row).ok())
        .unwrap_or_default();
    let members = row.as_object().into_iter().flatten();
    let known = members
        .filter(|(_, value)| !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty()));
    known
        .map(|(name, value)| {
            let value = match value.as_str() {
                Some(text) => visible(text).into_owned(),
                None => visible(&value.to_string()).into_owned(),
            };
            Line::from(vec![
                Span::styled(format!("{name:<16}"), Style::new().dim()),
                Span::raw(value),
            ])
        })
        .collect()
}

fn name(kind: &impl Serialize) -> String {
    let value = serde_json::to_value(kind).unwrap_or_default();
    value.as_str().unwrap_or("-").to_owned()
}

/// The newest samples as blocks of eight heights.
fn spark(samples: &VecDeque<u64>, columns: usize) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let newest = samples.iter().skip(samples.len().saturating_sub(columns));
    let most = newest.clone().copied().max().unwrap_or(0).max(1);
    newest
        .map(|sample| {
            let height = (sample * 7).div_ceil(most) as usize;
            BLOCKS.get(height).copied().unwrap_or('█')
        })
        .collect()
}

fn colour(severity: Severity) -> Color {
    match severity {
        Severity::Info => Color::Gray,
        Severity::Low => Color::Green,
        Severity::Medium => Color::Yellow,
        Severity::High => Color::LightRed,
        Severity::Critical => Color::Red,
    }
}

fn risk_colour(risk: f64) -> Color {
    match risk {
        risk if risk >= 75.0 => Color::Red,
        risk if risk >= 50.0 => Color::LightRed,
        risk if risk >= 25.0 => Color::Yellow,
        _ => Color::Gray,
    }
}

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend};

    use super::{
        super::state::tests::{answer, press},
        *,
    };

    fn screen(state: &mut State, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, state)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn everything_fits_a_small_terminal() {
        let mut state = State::default();
        assert!(screen(&mut state, 80, 24).contains("Waiting for the first answer"));
        state.take(Ok(answer(7)));
        let shown = screen(&mut state, 80, 24);
        for part in [
            "3 endpoints",
            "1 incidents",
            "1 Endpoints",
            "/v1/users/{userId}",
            "q quit",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(!shown.contains('\u{1b}'), "hostile text is escaped");
        press(&mut state, "3");
        assert!(screen(&mut state, 80, 24).contains("sqli"));
        press(&mut state, "\n");
        assert!(screen(&mut state, 80, 24).contains("signature: it was seen"));
    }

    #[test]
    fn no_size_is_too_small_or_too_large() {
        let mut state = State::default();
        state.take(Ok(answer(7)));
        for (width, height) in [(1, 1), (10, 4), (300, 100)] {
            press(&mut state, "\n");
            screen(&mut state, width, height);
        }
    }

    #[test]
    fn a_sparkline_shows_the_newest_samples() {
        assert_eq!(spark(&[9, 0, 1, 8].into(), 3), "▁▂█");
        assert_eq!(spark(&VecDeque::new(), 3), "");
    }
}
