/// The text format in which Prometheus reads metrics, version 0.0.4.
enum Exposition {
    static func sample(_ name: String, _ labels: String, _ value: Double) -> String {
        labels.isEmpty ? "\(name) \(number(value))\n" : "\(name){\(labels)} \(number(value))\n"
    }

    /// The cumulative buckets, the sum and the count.
    static func samples(_ name: String, _ labels: String, _ histogram: Histogram) -> String {
        let snapshot = histogram.snapshot
        let prefix = labels.isEmpty ? "" : labels + ","
        var text = ""
        var cumulative = 0
        for (bound, count) in zip(histogram.bounds + [.infinity], snapshot.counts) {
            cumulative += count
            text += sample(
                "\(name)_bucket", "\(prefix)le=\"\(number(bound))\"", Double(cumulative))
        }
        text += sample("\(name)_sum", labels, snapshot.sum)
        text += sample("\(name)_count", labels, Double(cumulative))
        return text
    }

    static func labels(_ labels: Metrics.Labels) -> String {
        labels.map { "\($0.0)=\"\(escaped(value: $0.1))\"" }.joined(separator: ",")
    }

    static func escaped(help: String) -> String {
        escaped(help) { $0 == "\\" || $0 == "\n" }
    }

    static func isName(_ name: String) -> Bool {
        guard let first = name.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9") ~= first) else {
            return false
        }
        return name.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                true
            default: false
            }
        }
    }

    private static func escaped(value: String) -> String {
        escaped(value) { $0 == "\\" || $0 == "\n" || $0 == "\"" }
    }

    /// By scalars: as characters, `\r\n` would be one and pass unseen.
    private static func escaped(_ text: String, _ needsIt: (Unicode.Scalar) -> Bool) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            if needsIt(scalar) {
                result += scalar == "\n" ? "\\n" : "\\\(scalar)"
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// The largest whole number below which every whole number is a `Double`.
    private static let exactIntegers = 9_007_199_254_740_992.0

    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if value.magnitude <= exactIntegers, value == value.rounded() { return String(Int(value)) }
        return value.description
    }
}
