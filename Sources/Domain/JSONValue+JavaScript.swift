import JSON

extension JSONValue {
    /// The text that JavaScript's `String(value)` gives for the value `JSON.parse` reads.
    package var javaScriptText: String {
        switch self {
        case .null: "null"
        case .bool(let flag): flag ? "true" : "false"
        case .number(let number): number.double.javaScriptText
        case .string(let text): text
        case .array(let elements):
            elements.map { $0.isNull ? "" : $0.javaScriptText }.joined(separator: ",")
        case .object: "[object Object]"
        }
    }
}

extension Double {
    /// The shortest digits that read back the same, with an exponent below 1e-6 and from 1e21.
    var javaScriptText: String {
        if isNaN { return "NaN" }
        if isInfinite { return self < 0 ? "-Infinity" : "Infinity" }
        if self == 0 { return "0" }
        let (digits, point) = magnitude.shortestDigits
        let sign = self < 0 ? "-" : ""
        if (-5...21).contains(point) { return sign + positional(digits, point) }
        let mantissa = digits.count == 1 ? digits : "\(digits.prefix(1)).\(digits.dropFirst())"
        return "\(sign)\(mantissa)e\(point > 0 ? "+" : "-")\((point - 1).magnitude)"
    }

    /// Digits without zeros at either end, and the place of the point after the first of them.
    private var shortestDigits: (String, point: Int) {
        let parts = description.split(separator: "e")
        let halves = parts[0].split(separator: ".")
        let exponent = parts.count == 2 ? Int(parts[1]) ?? 0 : 0
        let all = halves.joined()
        let significant = all.drop { $0 == "0" }
        let point = halves[0].count - (all.count - significant.count) + exponent
        let zeros = significant.reversed().prefix { $0 == "0" }.count
        return (String(significant.dropLast(zeros)), point)
    }

    private func positional(_ digits: String, _ point: Int) -> String {
        if point <= 0 { return "0." + String(repeating: "0", count: -point) + digits }
        if point >= digits.count {
            return digits + String(repeating: "0", count: point - digits.count)
        }
        return "\(digits.prefix(point)).\(digits.dropFirst(point))"
    }
}
