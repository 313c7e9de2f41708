/// The results of an experiment, for reading: how fresh they are and whether the split was kept
/// come before anything that is concluded from them.
struct ResultsView {
    /// Cohorts that are shown; there may be thousands.
    private static let cohortsMax = 12

    private let results: ResultsAnswer
    private let asOf: String?
    private let canvas: Canvas

    init(_ results: ResultsAnswer, asOf: String? = nil, canvas: Canvas = .standardOutput) {
        self.results = results
        self.asOf = asOf
        self.canvas = canvas
    }

    var text: String {
        let scores = results.scores.map { "\n" + ScoreView($0, results, canvas).text }.joined()
        return head + "\n" + sampleRatio + "\n" + cohorts + unattributed
            + (results.scores.isEmpty ? "\nNo scores yet; see ledger score --help.\n" : scores)
    }

    // MARK: What and how fresh

    private var head: String {
        let name = Display.oneLine(results.experiment)
        let function = results.function.map(Display.oneLine)
        let title = function.map { "\($0) / \(name)" } ?? "experiment/\(name)"
        var line = canvas.styled(title, .bold)
        if let status = results.status {
            let cell = Table.Cell(status: status, isColourful: canvas.isColourful)
            line += "  " + canvas.styled(cell.text, cell.style)
        }
        let lag = results.lag
        let place = "Figures up to position \(results.position)"
        let freshness =
            if let asOf {
                canvas.paragraph("\(place), as of \(asOf).")
            } else if lag.events == 0 {
                canvas.paragraph("\(place), the newest.")
            } else {
                canvas.paragraph(
                    "\(place), \(grouped(lag.events)) events (\(Numeral.short(lag.seconds)) s) "
                        + "behind the log.",
                    style: .yellow)
            }
        return line + "\n" + freshness + canvas.paragraph(asked, style: .dim)
    }

    /// What was asked for, as far as it decides the figures.
    private var asked: String {
        let counts =
            switch results.aggregation {
            case "latest": "the latest score of each unit"
            case "count": "the number of each unit's scores"
            case let other: "the \(other) of each unit's scores"
            }
        return "Counted: \(counts). Alpha \(results.alpha), minimum effect "
            + "\(Numeral.percent(results.minimumEffect))"
            + (results.control.map { ", control \($0)." } ?? ".")
    }

    // MARK: The split

    private var sampleRatio: String {
        guard let ratio = results.sampleRatio else {
            return canvas.paragraph("Sample ratio: there is no split to test.")
        }
        let freedom = ratio.degreesOfFreedom
        let figures =
            "p = \(Numeral.p(ratio.p)), chi-square \(Numeral.short(ratio.chiSquare)), "
            + "\(freedom) \(freedom == 1 ? "degree" : "degrees") of freedom"
        guard ratio.alert else {
            return canvas.paragraph("Sample ratio: no mismatch with the split (\(figures)).")
        }
        return canvas.paragraph("!! SAMPLE RATIO MISMATCH: \(figures).", style: .red, indent: 3)
            + canvas.paragraph(
                "!! The variants did not get their shares of units, so they can't be compared. "
                    + "Find out why before you trust anything below.", style: .red, indent: 3)
    }

    private var cohorts: String {
        let word = results.cohorts == nil ? "definition" : "cohort"
        let all = results.cohorts ?? results.definitions ?? []
        let shown = all.suffix(Self.cohortsMax)
        var rows = shown.flatMap { cohort in
            self.rows(
                cohort.variants, label: "\(cohort.number)", cohort.createdAt, cohort.sampleRatio)
        }
        if all.count > 1 {
            rows += self.rows(results.variants, label: "all", "", nil)
        }
        let columns = [word, "created", "variant", "split", "assigned", "share", "ratio p"]
        let table = rows.isEmpty ? "" : canvas.table(columns, rows)
        guard shown.count < all.count else { return table }
        return table
            + canvas.paragraph(
                "These are the newest \(shown.count) of \(grouped(all.count)) \(word)s; --json "
                    + "shows all.", style: .dim)
    }

    private func rows(
        _ arms: [ResultsAnswer.Arm], label: String, _ createdAt: String,
        _ ratio: ResultsAnswer.SampleRatio?
    ) -> [[Table.Cell]] {
        let total = arms.reduce(0) { $0 + $1.assigned }
        return arms.enumerated().map { index, arm in
            let isFirst = index == 0
            let p = ratio.map { Table.Cell(Numeral.p($0.p), style: $0.alert ? .red : .plain) }
            return [
                Table.Cell(isFirst ? label : ""),
                Table.Cell(isFirst ? Self.second(createdAt) : "", style: .dim),
                Table.Cell(arm.variant), Table.Cell(arm.split.map(Numeral.percent) ?? "-"),
                Table.Cell(grouped(arm.assigned)),
                Table.Cell(
                    total > 0 ? Numeral.percent(Double(arm.assigned) / Double(total)) : "-"),
                isFirst ? p ?? "" : "",
            ]
        }
    }

    /// A time without its fraction of a second.
    private static func second(_ time: String) -> String {
        let second = time.prefix { $0 != "." }
        return second.count < time.count ? second + "Z" : time
    }

    private var unattributed: String {
        let count = results.unattributedScores
        guard count > 0 else { return "" }
        return "\n"
            + canvas.paragraph(
                "\(grouped(count)) \(count == 1 ? "score is" : "scores are") unattributed: their "
                    + "units had no variant, and they count for none.", style: .yellow)
    }
}

/// The figures of one score, and what may be concluded from them.
private struct ScoreView {
    private static let barWidthMax = 20
    private static let barWidthMin = 6

    private let score: ResultsAnswer.Score
    private let results: ResultsAnswer
    private let canvas: Canvas

    init(_ score: ResultsAnswer.Score, _ results: ResultsAnswer, _ canvas: Canvas) {
        self.score = score
        self.results = results
        self.canvas = canvas
    }

    var text: String {
        let title = canvas.styled("score \(Display.oneLine(score.name))", .bold)
        let unattributed =
            score.unattributed > 0 ? ", \(grouped(score.unattributed)) unattributed" : ""
        let count = "\(grouped(score.scores)) \(score.scores == 1 ? "score" : "scores")"
        return "\(title)  \(count)\(unattributed)\n" + figures + comparisons
    }

    // MARK: Figures

    private var figures: String {
        let mean = score.kind == "proportion" ? "proportion" : "mean"
        let columns = ["variant", "units", "unscored", mean, "sd", "median"]
        let rows = score.variants.map { arm in
            [
                Table.Cell(arm.variant), Table.Cell(grouped(arm.units)),
                Table.Cell(grouped(arm.unscored)), number(arm.mean),
                number(arm.standardDeviation), number(arm.median),
            ]
        }
        let width = Canvas.width(columns, rows) + 2
        let space = canvas.columns.map { $0 - width } ?? Self.barWidthMax
        let largest = score.variants.compactMap(\.mean).max() ?? 0
        guard space >= Self.barWidthMin, largest > 0 else { return canvas.table(columns, rows) }
        return canvas.table(
            columns + [""],
            zip(rows, score.variants).map { row, arm in
                let share = (arm.mean ?? 0) / largest
                return row + [Table.Cell(canvas.bar(share, width: min(space, Self.barWidthMax)))]
            })
    }

    private func number(_ value: Double?) -> Table.Cell {
        Table.Cell(value.map(Numeral.short) ?? "-")
    }

    // MARK: Comparisons

    private var comparisons: String {
        let compared = score.variants.filter { $0.verdict != nil }
        guard !compared.isEmpty, score.scores > 0 else { return "" }
        let control = results.control.map { "Against \($0):" } ?? ""
        let confidence = Numeral.percent(1 - results.alpha)
        return "\n" + canvas.paragraph(control)
            + canvas.table(
                [
                    "variant", "difference", "\(confidence) always valid", "lift", "p (Welch)",
                    "verdict",
                ], compared.map(row))
            + compared.map(evidence).joined()
            + (score.stratified ? canvas.paragraph("Note: \(score.method)", style: .dim) : "")
    }

    private func row(_ arm: ResultsAnswer.ScoredArm) -> [Table.Cell] {
        let interval = arm.difference?.alwaysValid
        let range = interval.flatMap { interval in
            interval.low.flatMap { low in
                interval.high.map { "[\(Numeral.short(low)), \(Numeral.short($0))]" }
            }
        }
        let verdict = arm.verdict ?? ""
        return [
            Table.Cell(arm.variant),
            Table.Cell(arm.difference?.estimate.map(Numeral.signed) ?? "-"),
            Table.Cell(range ?? "-"),
            Table.Cell(arm.lift?.estimate.map(Numeral.signedPercent) ?? "-"),
            Table.Cell(range == nil ? "-" : arm.difference.map { Numeral.p($0.welch.p) } ?? "-"),
            Table.Cell(verdict, style: Self.style(of: verdict)),
        ]
    }

    private func evidence(_ arm: ResultsAnswer.ScoredArm) -> String {
        var text = "\(arm.variant): \(arm.verdict ?? ""). \(arm.evidence ?? "")"
        if let excluded = arm.excluded, !excluded.isEmpty {
            let word = results.cohorts == nil ? "definition" : "cohort"
            let numbers = excluded.map(String.init).joined(separator: ", ")
            text +=
                " Left out, as a variant has too few units there: "
                + "\(word)\(excluded.count == 1 ? "" : "s") \(numbers)."
        }
        return canvas.paragraph(text, indent: 2)
    }

    private static func style(of verdict: String) -> Style {
        switch verdict {
        case "better": .green
        case "worse": .red
        case "none yet": .dim
        default: .plain
        }
    }
}
