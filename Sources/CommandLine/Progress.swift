import Synchronization

/// How far a long piece of work has come, on standard error: a bar on a terminal, elsewhere a
/// line every few seconds.
package final class Progress: Sendable {
    private struct State {
        var done = 0
        var isFinished = false
        var nextReport: ContinuousClock.Instant
    }

    private let text: ProgressText
    private let isTerminal: Bool
    private let start: ContinuousClock.Instant
    private let now: @Sendable () -> ContinuousClock.Instant
    private let write: @Sendable (String) -> Void
    private let state: Mutex<State>

    /// Starts to show work of `total` units, such as `events`; nil where the end is not known.
    package convenience init(label: String, total: Int?, unit: String) {
        self.init(
            ProgressText(label: label, total: total, unit: unit),
            isTerminal: Terminal.isStandardError, now: { .now }, write: Terminal.writeError)
    }

    init(
        _ text: ProgressText,
        isTerminal: Bool,
        now: @escaping @Sendable () -> ContinuousClock.Instant,
        write: @escaping @Sendable (String) -> Void
    ) {
        self.text = text
        self.isTerminal = isTerminal
        self.now = now
        self.write = write
        start = now()
        // What ends at once needs no progress off a terminal.
        state = Mutex(State(nextReport: isTerminal ? start : start + Self.interval(isTerminal)))
    }

    /// Says that `done` units are done; a smaller number than before is passed over.
    package func update(_ done: Int) {
        state.withLock { state in
            state.done = max(state.done, done)
            let now = now()
            guard !state.isFinished, now >= state.nextReport else { return }
            state.nextReport = now + Self.interval(isTerminal)
            let elapsed = now - start
            if isTerminal {
                let bar = text.bar(done: state.done, elapsed: elapsed, columns: Terminal.columns)
                write("\r\u{1b}[K" + bar)
            } else {
                write(text.line(done: state.done, elapsed: elapsed) + "\n")
            }
        }
    }

    /// Ends the display with the total and the time it took.
    package func finish() {
        state.withLock { state in
            guard !state.isFinished else { return }
            state.isFinished = true
            let line = text.summary(done: state.done, elapsed: now() - start)
            write((isTerminal ? "\r\u{1b}[K" : "") + line + "\n")
        }
    }

    private static func interval(_ isTerminal: Bool) -> Duration {
        isTerminal ? .milliseconds(100) : .seconds(5)
    }
}

/// The words and the bar of a progress display.
struct ProgressText {
    let label: String
    let total: Int?
    let unit: String

    /// The bar with what is done, rate and time left, no wider than `columns`.
    func bar(done: Int, elapsed: Duration, columns: Int) -> String {
        guard let total, total > 0 else {
            return Self.cut(line(done: done, elapsed: elapsed), to: columns - 1)
        }
        let fraction = min(1, Double(done) / Double(total))
        let after = " " + figures(done: done, elapsed: elapsed)
        let space = columns - 1 - Display.width(label) - 1 - Display.width(after)
        guard space >= 10 else {
            return Self.cut(line(done: done, elapsed: elapsed), to: columns - 1)
        }
        let width = min(40, space)
        let filled = Int(fraction * Double(width))
        let bar =
            String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
        return "\(label) \(bar)\(after)"
    }

    /// The same in words.
    func line(done: Int, elapsed: Duration) -> String {
        "\(label): \(figures(done: done, elapsed: elapsed))"
    }

    func summary(done: Int, elapsed: Duration) -> String {
        let rate = rate(done: done, elapsed: elapsed).map { ", \(Self.grouped($0)) \(unit)/s" }
        return "\(label): \(Self.grouped(done)) \(unit) in \(Self.time(elapsed))\(rate ?? "")"
    }

    private func figures(done: Int, elapsed: Duration) -> String {
        var parts: [String] = []
        if let total, total > 0 {
            parts.append("\(min(100, done * 100 / total))%")
            parts.append("\(Self.grouped(done)) of \(Self.grouped(total)) \(unit)")
        } else {
            parts.append("\(Self.grouped(done)) \(unit)")
        }
        if let rate = rate(done: done, elapsed: elapsed) {
            parts.append("\(Self.grouped(rate))/s")
            if let total, total > done, rate > 0 {
                parts.append("\(Self.time(.seconds((total - done) / rate))) left")
            }
        }
        return parts.joined(separator: ", ")
    }

    private func rate(done: Int, elapsed: Duration) -> Int? {
        let seconds = elapsed / .seconds(1)
        return seconds < 0.001 ? nil : Int(Double(done) / seconds)
    }

    /// A number with a thin group of three digits: `1 234 567`.
    static func grouped(_ number: Int) -> String {
        let digits = Array(String(number))
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index).isMultiple(of: 3) {
                text.append(" ")
            }
            text.append(digit)
        }
        return text
    }

    static func time(_ duration: Duration) -> String {
        let seconds = Int(duration.components.seconds)
        if seconds == 0 { return "\(Int(duration / .milliseconds(1))) ms" }
        if seconds < 60 { return "\(seconds) s" }
        if seconds < 3600 { return "\(seconds / 60) min \(seconds % 60) s" }
        return "\(seconds / 3600) h \(seconds / 60 % 60) min"
    }

    private static func cut(_ text: String, to columns: Int) -> String {
        var width = 0
        return String(
            text.prefix {
                width += Display.width(String($0))
                return width <= columns
            })
    }
}
