import Synchronization

/// A ``Progress`` that begins once the work says how much there is.
final class ProgressBar: Sendable {
    private let label: String
    private let unit: String
    private let progress: Mutex<Progress?> = Mutex(nil)

    init(label: String, unit: String) {
        self.label = label
        self.unit = unit
    }

    func update(_ done: Int, of total: Int?) {
        let progress = progress.withLock { progress in
            let shown = progress ?? Progress(label: label, total: total, unit: unit)
            progress = shown
            return shown
        }
        progress.update(done)
    }

    func finish() {
        progress.withLock { $0 }?.finish()
    }
}

/// A number in groups of three digits.
func grouped(_ number: some BinaryInteger) -> String { ProgressText.grouped(Int(number)) }

/// A time, and how many events a second that was: `2.41 s (415 000 events/s)`.
func speed(_ events: Int, _ duration: Duration) -> String {
    let seconds = duration / .seconds(1)
    let hundredths = Int((seconds * 100).rounded())
    let text = "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100) s"
    guard seconds > 0.001 else { return text }
    return "\(text) (\(grouped(Int(Double(events) / seconds))) events/s)"
}
