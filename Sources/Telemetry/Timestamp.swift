import Glibc

/// A moment of the wall clock, shown as RFC 3339 in UTC with microseconds.
struct Timestamp: CustomStringConvertible {
    let secondsSince1970: Int
    let microseconds: Int

    /// What the clock says.
    static var now: Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(secondsSince1970: time.tv_sec, microseconds: time.tv_nsec / 1000)
    }

    var description: String {
        let (year, month, day) = date
        let second = secondsSince1970 - days * 86_400
        return Self.padded(year, to: 4) + "-" + Self.padded(month, to: 2)
            + "-" + Self.padded(day, to: 2)
            + "T" + Self.padded(second / 3600, to: 2)
            + ":" + Self.padded(second / 60 % 60, to: 2)
            + ":" + Self.padded(second % 60, to: 2)
            + "." + Self.padded(microseconds, to: 6) + "Z"
    }

    private var days: Int {
        secondsSince1970 >= 0 ? secondsSince1970 / 86_400 : (secondsSince1970 - 86_399) / 86_400
    }

    /// Counts from 1 March of the year 0, so that the leap day is a year's last day.
    private var date: (year: Int, month: Int, day: Int) {
        let day = days + 719_468
        let era = day / 146_097
        let dayOfEra = day % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (
            yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month,
            dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        )
    }

    private static func padded(_ number: Int, to width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
