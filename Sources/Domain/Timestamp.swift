/// A moment in UTC, in microseconds since 1970-01-01.
package struct Timestamp: Sendable, Hashable, Comparable, CustomStringConvertible {
    package var microseconds: Int64

    package init(microseconds: Int64) { self.microseconds = microseconds }

    /// The first moment of the year 0, which no text names: stands for a time that a proposed event
    /// leaves to the ledger.
    static let notGiven = Timestamp(microseconds: -62_167_219_200_000_000)

    package static func < (left: Timestamp, right: Timestamp) -> Bool {
        left.microseconds < right.microseconds
    }

    /// RFC 3339 with six decimals, always 27 bytes between the years 0 and 9999.
    package var description: String { String(decoding: bytes, as: UTF8.self) }

    /// The ASCII bytes of ``description``.
    package var bytes: [UInt8] {
        let (days, time) = Self.floorDivision(microseconds, 86_400_000_000)
        let (year, month, day) = Self.civil(fromDays: days)
        let (seconds, fraction) = (time / 1_000_000, time % 1_000_000)
        var out: [UInt8] = []
        out.reserveCapacity(27)
        func append(_ value: Int64, width: Int) {
            var divisor: Int64 = 1
            for _ in 1..<width { divisor *= 10 }
            while divisor > 0 {
                out.append(UInt8(ascii: "0") + UInt8(value / divisor % 10))
                divisor /= 10
            }
        }
        append(year, width: 4)
        out.append(UInt8(ascii: "-"))
        append(month, width: 2)
        out.append(UInt8(ascii: "-"))
        append(day, width: 2)
        out.append(UInt8(ascii: "T"))
        append(seconds / 3600, width: 2)
        out.append(UInt8(ascii: ":"))
        append(seconds / 60 % 60, width: 2)
        out.append(UInt8(ascii: ":"))
        append(seconds % 60, width: 2)
        out.append(UInt8(ascii: "."))
        append(fraction, width: 6)
        out.append(UInt8(ascii: "Z"))
        return out
    }

    /// Reads an RFC 3339 date-time, or a bare date as its midnight in UTC.
    ///
    /// Digits beyond microseconds are cut off. Nil for anything that is not a real moment between
    /// the years 1 and 9999.
    package init?(_ text: String) {
        var rest = Array(text.utf8)[...]
        func digits(_ count: Int) -> Int64? {
            guard rest.count >= count else { return nil }
            var value: Int64 = 0
            for byte in rest.prefix(count) {
                guard (0x30...0x39).contains(byte) else { return nil }
                value = value * 10 + Int64(byte - 0x30)
            }
            rest = rest.dropFirst(count)
            return value
        }
        func skip(_ bytes: String) -> Bool {
            guard let first = rest.first, bytes.utf8.contains(first) else { return false }
            rest = rest.dropFirst()
            return true
        }
        guard let year = digits(4), year >= 1, skip("-"), let month = digits(2), skip("-"),
            let day = digits(2), (1...12).contains(month),
            (1...Self.daysInMonth(year: year, month: month)).contains(day)
        else { return nil }
        var seconds = Self.days(year: year, month: month, day: day) * 86_400
        var fraction: Int64 = 0
        if !rest.isEmpty {
            guard skip("Tt "), let hour = digits(2), skip(":"), let minute = digits(2), skip(":"),
                let second = digits(2), hour < 24, minute < 60, second < 60
            else { return nil }
            seconds += hour * 3600 + minute * 60 + second
            if skip(".") {
                var scale: Int64 = 100_000
                guard let first = rest.first, (0x30...0x39).contains(first) else { return nil }
                while let digit = digits(1) {
                    fraction += digit * scale
                    scale /= 10
                }
            }
            if !skip("Zz") {
                let negative = rest.first == UInt8(ascii: "-")
                guard skip("+-"), let hours = digits(2), skip(":"), let minutes = digits(2),
                    hours < 24, minutes < 60
                else { return nil }
                seconds -= (negative ? -1 : 1) * (hours * 3600 + minutes * 60)
            }
        }
        guard rest.isEmpty, Self.secondsRange.contains(seconds) else { return nil }
        microseconds = seconds * 1_000_000 + fraction
    }

    // MARK: Calendar

    /// The seconds of the years 1 to 9999, which an offset can lead out of.
    private static let secondsRange = -62_135_596_800..<253_402_300_800 as Range<Int64>

    private static func floorDivision(_ value: Int64, _ divisor: Int64) -> (Int64, Int64) {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }

    private static func daysInMonth(year: Int64, month: Int64) -> Int64 {
        switch month {
        case 4, 6, 9, 11: 30
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        default: 31
        }
    }

    /// Days since 1970-01-01 in the proleptic Gregorian calendar, counting years from March so that
    /// the leap day comes last.
    private static func days(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let (era, yearOfEra) = floorDivision(shifted, 400)
        let dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }

    /// The inverse of ``days(year:month:day:)``.
    private static func civil(fromDays days: Int64) -> (Int64, Int64, Int64) {
        let (era, dayOfEra) = floorDivision(days + 719_468, 146_097)
        let yearOfEra =
            (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, day)
    }
}
