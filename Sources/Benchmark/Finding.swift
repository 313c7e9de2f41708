import JSON

/// What one scenario found, round by round.
struct Finding {
    let scenario: Scenario
    /// Which of the scenario's findings, where it has several.
    let part: String?
    let unit: String
    let goal: Goal

    /// What is good enough.
    enum Goal {
        /// The ratio of measured to reference is at least this.
        case ratio(least: Double)
        /// The ratio of measured to reference is at most this.
        case ratioAtMost(Double)
        /// Every measurement is at least this.
        case rate(least: Double)
        /// No measurement is above this.
        case value(most: Double)
        /// No measurement, each the far end of a distribution, is above this.
        case tail(String, most: Double)
        /// There is none: the number is only shown.
        case noted
        /// Every measurement is below this, and the last hardly above the first.
        case flat(below: Double)
    }

    private var measured: [Double] = []
    private var references: [Double] = []
    /// Of the distributions whose tails are measured.
    private var middles: [Double] = []
    private var notes: [(name: String, measured: Double, reference: Double?)] = []

    private static let growthMax = 1.1

    init(_ scenario: Scenario, _ part: String? = nil, unit: String, _ goal: Goal) {
        self.scenario = scenario
        self.part = part
        self.unit = unit
        self.goal = goal
    }

    mutating func add(_ value: Double, _ reference: Double?, middle: Double? = nil) {
        measured.append(value)
        if let reference { references.append(reference) }
        if let middle { middles.append(middle) }
        let median = middle.map { ", median \(text($0))" } ?? ""
        let beside = reference.map { ", reference \(Self.text($0))" } ?? ""
        Progress.say("  \(part.map { $0 + ": " } ?? "")\(text(value)) \(unit)\(median)\(beside)")
    }

    /// Keeps a number for the JSON that the table has no room for.
    mutating func note(_ name: String, _ value: Double, _ reference: Double?) {
        notes.append((name, value, reference))
    }

    /// The median of the rounds' ratios; of what is to be flat, its growth from first to last.
    private var ratio: Double? {
        switch goal {
        case .ratio, .ratioAtMost, .rate, .noted:
            zip(measured, references).map { $0 / $1 }.median
        case .value, .tail: nil
        case .flat: (measured.last ?? 0) / (measured.first ?? 1)
        }
    }

    /// Nil where nothing is to be met.
    private var isMet: Bool? {
        switch goal {
        case .noted: nil
        case .ratio(let least): ratio ?? 0 >= least
        case .ratioAtMost(let most): ratio ?? .infinity <= most
        case .rate(let least): measured.median >= least
        case .value(let most), .tail(_, let most): measured.allSatisfy { $0 <= most }
        case .flat(let below):
            ratio ?? .infinity <= Self.growthMax && measured.allSatisfy { $0 < below }
        }
    }

    // MARK: Table

    static let tableHead = """
        | work | measured | reference | ratio | target | met |
        |---|---|---|---|---|---|
        """

    var tableRow: String {
        let shownRatio = ratio.map { Self.text($0, decimals: 2) } ?? "–"
        let cells =
            switch goal {
            case .ratio(let least):
                besideReference + [shownRatio, "≥ \(Self.text(least, decimals: 1))"]
            case .ratioAtMost(let most):
                besideReference + [shownRatio, "≤ \(Self.text(most, decimals: 1))"]
            case .rate(let least):
                besideReference + [shownRatio, "≥ \(text(least)) \(unit)"]
            case .value(let most):
                ["\(text(measured.median)) \(unit)", "–", shownRatio, "≤ \(text(most)) \(unit)"]
            case .tail(let name, let most):
                [
                    "\(text(middles.median)) \(unit), \(name) \(text(measured.median)) \(unit)",
                    "–", shownRatio, "\(name) ≤ \(text(most)) \(unit)",
                ]
            case .noted: besideReference + [shownRatio, "–"]
            case .flat(let below):
                [
                    measured.map { text($0) }.joined(separator: " → ") + " \(unit)", "–",
                    shownRatio, "flat, < \(text(below)) \(unit)",
                ]
            }
        let met = isMet.map { $0 ? "yes" : "no" } ?? "–"
        return "| " + ([work] + cells + [met]).joined(separator: " | ") + " |"
    }

    private var work: String { scenario.work + (part.map { ", \($0)" } ?? "") }

    private var besideReference: [String] {
        ["\(text(measured.median)) \(unit)", "\(text(references.median)) \(unit)"]
    }

    /// A number in the finding's unit: small ones with their decimals.
    private func text(_ value: Double) -> String {
        Self.text(value, decimals: value < 10 && value.rounded() != value ? 1 : 0)
    }

    /// A number with its thousands apart, rounded.
    private static func text(_ value: Double, decimals: Int = 0) -> String {
        var scale = 1.0
        for _ in 0..<decimals { scale *= 10 }
        let rounded = Int((value * scale).rounded())
        let (whole, rest) = rounded.quotientAndRemainder(dividingBy: Int(scale))
        var groups = "\(whole)"
        var place = groups.count - 3
        while place > 0 {
            groups.insert(" ", at: groups.index(groups.startIndex, offsetBy: place))
            place -= 3
        }
        guard decimals > 0 else { return groups }
        let digits = "\(rest)"
        return groups + "." + String(repeating: "0", count: decimals - digits.count) + digits
    }

    // MARK: JSON

    func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.key("name")
        writer.string(scenario.rawValue)
        writer.key("work")
        writer.string(work)
        writer.key("unit")
        writer.string(unit)
        writer.key("measured")
        writer.numbers(measured)
        writer.key("reference")
        writer.numbers(references)
        if !middles.isEmpty {
            writer.key("median")
            writer.numbers(middles)
        }
        writer.key("ratio")
        if let ratio { writer.number(ratio) } else { writer.null() }
        writer.key("least")
        if case .ratio(let least) = goal { writer.number(least) } else { writer.null() }
        writer.key("met")
        if let isMet { writer.bool(isMet) } else { writer.null() }
        writer.key("notes")
        writer.beginArray()
        for note in notes {
            writer.beginObject()
            writer.key("name")
            writer.string(note.name)
            writer.key("measured")
            writer.number(note.measured)
            if let reference = note.reference {
                writer.key("reference")
                writer.number(reference)
            }
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
    }
}

extension JSONWriter {
    fileprivate mutating func numbers(_ values: [Double]) {
        beginArray()
        for value in values { number(value) }
        endArray()
    }
}

extension [Double] {
    /// The middle value; of an even number of them, the mean of the two in the middle.
    var median: Double {
        let sorted = sorted()
        guard let last = sorted.last else { return 0 }
        let middle = count / 2
        if count % 2 == 1 { return sorted[middle] }
        return (sorted[middle - 1] + (middle < count ? sorted[middle] : last)) / 2
    }

    /// The value that so many of a hundred do not exceed.
    func percentile(_ percent: Int) -> Double {
        isEmpty ? 0 : sorted()[Swift.max(0, (count * percent + 99) / 100 - 1)]
    }
}
