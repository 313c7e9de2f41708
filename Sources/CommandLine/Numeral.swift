import Glibc

/// Numbers as people read them.
enum Numeral {
    /// All digits before the point, and four significant ones at most behind it.
    static func short(_ value: Double) -> String {
        guard value.isFinite, value != 0 else { return value == 0 ? "0" : "\(value)" }
        let decimals = max(0, 3 - Int(log10(abs(value)).rounded(.down)))
        guard abs(value) < 1e15, decimals < 12 else { return "\(significant(value, digits: 4))" }
        let rounded = significant(value, decimals: decimals)
        if rounded == rounded.rounded() {
            let digits = grouped(Int(abs(rounded)))
            return rounded < 0 ? "-" + digits : digits
        }
        return "\(rounded)"
    }

    static func signed(_ value: Double) -> String {
        let text = short(value)
        return value > 0 ? "+" + text : text
    }

    /// A share in per cent with one decimal: `12.3%`.
    static func percent(_ share: Double) -> String {
        short(significant(share * 100, decimals: 1)) + "%"
    }

    static func signedPercent(_ share: Double) -> String {
        let text = percent(share)
        return share > 0 && text != "0%" ? "+" + text : text
    }

    /// A probability with two significant digits.
    static func p(_ value: Double) -> String {
        let rounded = value > 0 ? significant(value, digits: 2) : 0
        let text = "\(rounded)"
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    private static func significant(_ value: Double, digits: Int) -> Double {
        significant(value, decimals: digits - 1 - Int(log10(abs(value)).rounded(.down)))
    }

    /// Rounded to so many decimals, and read as decimal digits, as a power of ten is not exact.
    private static func significant(_ value: Double, decimals: Int) -> Double {
        let digits = (value * pow(10, Double(decimals))).rounded()
        guard abs(digits) < 1e17 else { return value }
        return Double("\(Int(digits))e\(-decimals)") ?? value
    }
}
