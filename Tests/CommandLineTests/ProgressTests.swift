import Synchronization
import Testing

@testable import CommandLine

@Suite struct ProgressTests {
    /// A clock that is set by hand, and what was written.
    private final class Stage: Sendable {
        let elapsed = Mutex(Duration.zero)
        let written = Mutex("")
        private let start = ContinuousClock.now

        func progress(total: Int?, isTerminal: Bool) -> Progress {
            Progress(
                ProgressText(label: "rebuild", total: total, unit: "events"),
                isTerminal: isTerminal,
                now: { [self] in start + elapsed.withLock { $0 } },
                write: { [self] text in written.withLock { $0 += text } })
        }

        func update(_ progress: Progress, _ done: Int, at seconds: Double) {
            elapsed.withLock { $0 = .seconds(seconds) }
            progress.update(done)
        }

        var text: String { written.withLock { $0 } }
    }

    private let stage = Stage()

    @Test func `off a terminal there is a line every few seconds and one at the end`() {
        let progress = stage.progress(total: 10_000, isTerminal: false)
        stage.update(progress, 1000, at: 1)
        stage.update(progress, 5000, at: 5)
        stage.update(progress, 6000, at: 6)
        stage.update(progress, 10_000, at: 10)
        progress.finish()
        progress.finish()
        #expect(
            stage.text == """
                rebuild: 50%, 5 000 of 10 000 events, 1 000/s, 5 s left
                rebuild: 100%, 10 000 of 10 000 events, 1 000/s
                rebuild: 10 000 events in 10 s, 1 000 events/s

                """)
    }

    @Test func `on a terminal one line is drawn over`() {
        let progress = stage.progress(total: 100, isTerminal: true)
        stage.update(progress, 50, at: 1)
        stage.update(progress, 51, at: 1.05)
        #expect(stage.text.hasPrefix("\r\u{1b}[Krebuild █"))
        #expect(!stage.text.contains("51"))
        progress.finish()
        #expect(stage.text.hasSuffix("\r\u{1b}[Krebuild: 51 events in 1 s, 48 events/s\n"))
    }

    @Test func `nothing is drawn after the end, and progress never goes back`() {
        let progress = stage.progress(total: nil, isTerminal: false)
        stage.update(progress, 10, at: 1)
        stage.update(progress, 5, at: 2)
        progress.finish()
        stage.update(progress, 99, at: 60)
        #expect(stage.text == "rebuild: 10 events in 2 s, 5 events/s\n")
    }

    @Test(arguments: [200, 80, 50, 30, 5])
    func `the bar fits the terminal`(columns: Int) {
        let text = ProgressText(label: "rebuild", total: 1_000_000, unit: "events")
        for done in [0, 1, 500_000, 1_000_000, 2_000_000] {
            let bar = text.bar(done: done, elapsed: .seconds(90), columns: columns)
            #expect(Display.width(bar) < columns)
        }
    }

    @Test func `several threads may report`() async {
        let progress = stage.progress(total: 4000, isTerminal: false)
        await withTaskGroup { group in
            for part in 0..<4 {
                group.addTask {
                    for done in 0..<1000 { progress.update(part * 1000 + done + 1) }
                }
            }
        }
        progress.finish()
        #expect(stage.text == "rebuild: 4 000 events in 0 ms\n")
    }

    @Test(arguments: [
        (0.0, "0 ms"), (0.25, "250 ms"), (59.9, "59 s"), (61, "1 min 1 s"), (7260, "2 h 1 min"),
    ])
    func `times are read at a glance`(seconds: Double, text: String) {
        #expect(ProgressText.time(.seconds(seconds)) == text)
    }
}
