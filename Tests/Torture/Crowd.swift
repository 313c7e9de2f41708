import Postgres
import SeededRandomness
import Synchronization

/// What all clients of a round share.
final class Crowd: Sendable {
    let urls: [String]
    let key: String
    let clock: RunClock
    private let stopSignal = Signal()
    private let numbers: Atomic<Int>
    private let state = Mutex(State())
    private let progress = Signal()

    private struct State {
        var history: [Operation] = []
        var findings: [Finding] = []
        var acknowledged = 0
        /// What somebody was told of, for others to ask for.
        var subjects = Remembered()
        var runs = Remembered()

        mutating func remember(_ effect: Effect) {
            let words = effect.description.split(separator: " ").map(String.init)
            switch words[0] {
            case "assigned": subjects.add(words[1])
            case "selected": runs.add(words[1])
            default: break
            }
        }
    }

    /// Numbers start where those of the round before ended.
    init(urls: [String], key: String, clock: RunClock, firstNumber: Int) {
        self.urls = urls
        self.key = key
        self.clock = clock
        numbers = Atomic(firstNumber)
    }

    /// One that no other command of the run gets.
    func nextNumber() -> Int { numbers.add(1, ordering: .relaxed).oldValue }

    /// What the next command gets.
    var nextFreeNumber: Int { numbers.load(ordering: .relaxed) }

    // MARK: Ending

    var isStopped: Bool { stopSignal.isRaised }

    func stop() { stopSignal.wake() }

    /// Waits a little; less if the round ends.
    func pause(_ duration: Duration) { _ = stopSignal.waitUntilRaised(timeout: duration) }

    // MARK: What is known

    var history: [Operation] { state.withLock { $0.history } }

    /// What clients found by themselves.
    var findings: [Finding] { state.withLock { $0.findings } }

    func report(_ finding: Finding) { state.withLock { $0.findings.append(finding) } }

    func record(_ operation: Operation) {
        let isProgress = state.withLock { state in
            state.history.append(operation)
            guard case .write(let effects) = operation.request, operation.answer != nil else {
                return false
            }
            state.acknowledged += 1
            if let effect = effects.last { state.remember(effect) }
            return true
        }
        if isProgress { progress.wake() }
    }

    func subject(_ generator: inout SeededGenerator) -> String? {
        state.withLock { $0.subjects.names.randomElement(using: &generator) }
    }

    func run(_ generator: inout SeededGenerator) -> String? {
        state.withLock { $0.runs.names.randomElement(using: &generator) }
    }

    /// Waits until so many more writes were acknowledged; false if it takes longer than `patience`.
    func waitForMore(_ count: Int, patience: Duration) -> Bool {
        let deadline = ContinuousClock.now + patience
        let target = state.withLock { $0.acknowledged } + count
        while state.withLock({ $0.acknowledged }) < target {
            guard ContinuousClock.now < deadline else { return false }
            _ = progress.wait(timeout: .seconds(1))
        }
        return true
    }
}

/// The last few names, which is enough for clients to meet.
private struct Remembered {
    private(set) var names: [String] = []
    private var next = 0

    private static let countMax = 400

    mutating func add(_ name: String) {
        if names.count < Self.countMax {
            names.append(name)
        } else {
            names[next] = name
            next = (next + 1) % Self.countMax
        }
    }
}

/// Microseconds since the start of a run.
struct RunClock: Sendable {
    private let start = ContinuousClock.now

    var now: Int64 { Int64((ContinuousClock.now - start) / .microseconds(1)) }
}
