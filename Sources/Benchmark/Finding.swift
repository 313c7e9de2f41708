import JSON

/// What one scenario found, round by round.
struct Finding {
    let scenario: Scenario
    let unit: String
    /// The smallest ratio of measured to reference that is good enough; nil for the memory, which
    /// is to be flat and small.
    let least: Double?
    private var measured: [Double] = []
    private var references: [Double] = []
    private var notes: [(name: String, measured: Double, reference: Double?)] = []

    private static let megabytesMax = 400.0
    private static let growthMax = 1.1

    init(_ scenario: Scenario, unit: String, least: Double?) {
        self.scenario = scenario
        self.unit = unit
        self.least = least
    }

    mutating func add(_ value: Double, _ reference: Double?) {
        measured.append(value)
        if let reference { references.append(reference) }
        let beside = reference.map { ", reference \(Self.text($0))" } ?? ""
        Progress.say("  \(Self.text(value)) \(unit)\(beside)")
    }

    /// Keeps a number for the JSON that the table has no room for.
    mutating func note(_ name: String, _ value: Double, _ reference: Double?) {
        notes.append((name, value, reference))
    }

    /// The median of the rounds' ratios; of the memory, its growth from first to last.
    private var ratio: Double {
        guard least != nil else { return (measured.last ?? 0) / (measured.first ?? 1) }
        return zip(measured, references).map { $0 / $1 }.median
    }

    private var isMet: Bool {
        guard let least else {
            return ratio <= Self.growthMax && measured.allSatisfy { $0 < Self.megabytesMax }
        }
        return ratio >= least
    }

    // MARK: Table

    static let tableHead = """
        | work | measured | reference | ratio | target | met |
        |---|---|---|---|---|---|
        """

    var tableRow: String {
        let cells: [String]
        if let least {
            cells = [
                "\(Self.text(measured.median)) \(unit)", "\(Self.text(references.median)) \(unit)",
                Self.text(ratio, decimals: 2), "≥ \(Self.text(least, decimals: 1))",
            ]
        } else {
            cells = [
                measured.map { Self.text($0) }.joined(separator: " → ") + " \(unit)", "–",
                Self.text(ratio, decimals: 2),
                "flat, < \(Self.text(Self.megabytesMax)) \(unit)",
            ]
        }
        return "| "
            + ([scenario.work] + cells + [isMet ? "yes" : "no"]).joined(separator: " | ") + " |"
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
        writer.string(scenario.work)
        writer.key("unit")
        writer.string(unit)
        writer.key("measured")
        writer.numbers(measured)
        writer.key("reference")
        writer.numbers(references)
        writer.key("ratio")
        writer.number(ratio)
        writer.key("least")
        if let least { writer.number(least) } else { writer.null() }
        writer.key("met")
        writer.bool(isMet)
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
}
