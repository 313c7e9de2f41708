import Domain
import EventLog
import Proof

/// The two threads that ask the source.
extension Follower {
    private static let waitSeconds = 10
    /// An empty answer that came sooner has not waited.
    private static let waitMin = Duration.milliseconds(250)
    private static let retryDelayMin = Duration.milliseconds(100)
    private static let retryDelayMax = Duration.seconds(5)
    /// Between two checkpoints while lines wait for one, and while none do.
    private static let checkpointInterval = Duration.milliseconds(500)
    private static let idleCheckpointInterval = Duration.seconds(2)
    /// Between two looks at the source's epoch, which changes with its leader.
    private static let epochInterval = Duration.seconds(15)

    /// Asks for lines from a head on, a page ahead of the one that is being stored.
    func fetchLines(after head: Head) {
        let source = Source(self.source)
        var parser = LineParser()
        var (position, recordedAt) = (head.position, head.recordedAt)
        var delay = Self.retryDelayMin
        while !isStopping {
            do {
                let asked = ContinuousClock.now
                let page = try source.lines(after: position, waitSeconds: Self.waitSeconds)
                note { $0.hear(sourcePosition: page.position, at: .now) }
                let batch = try LineBatch(
                    page.lines, after: position, recordedAt: recordedAt, parser: &parser)
                note(nil, of: .lines)
                delay = Self.retryDelayMin
                guard batch.through > position || batch.divergence != nil else {
                    // One that is about to stop does not wait, nor does one that is far behind.
                    if ContinuousClock.now - asked < Self.waitMin { pause(Self.waitMin) }
                    continue
                }
                guard inbox.send(batch), batch.divergence == nil else { return }
                (position, recordedAt) = (batch.through, batch.recordedAt)
            } catch {
                note("\(error)", of: .lines)
                pause(delay)
                delay = min(delay * 2, Self.retryDelayMax)
            }
        }
    }

    /// Asks for checkpoints, and refuses those that the key that is trusted has not signed.
    func fetchCheckpoints() {
        let source = Source(self.source)
        var behindSince: ContinuousClock.Instant?
        var nextEpoch = ContinuousClock.now
        while !isStopping {
            do throws(SourceError) {
                let found = try source.checkpoint()
                note(nil, of: .checkpoints)
                if let position = found.position {
                    note { $0.hear(sourcePosition: position, at: .now) }
                }
                do throws(NoteError) { try found.checkpoint.verify(key) } catch {
                    return inbox.post(
                        Divergence(
                            .wrongKey,
                            "\(error) Trusted is \(key); \(Self.currentKey(source))"))
                }
                inbox.post(found.checkpoint)
                if ContinuousClock.now >= nextEpoch {
                    let epoch = try source.epoch()
                    note { $0.sourceEpoch = max($0.sourceEpoch, epoch) }
                    nextEpoch = .now + Self.epochInterval
                }
                if let lost = shrunken(found, since: &behindSince) { return inbox.post(lost) }
            } catch { note(error.description, of: .checkpoints) }
            let status = self.status
            let isVerified = status.verifiedPosition == status.position && status.lagEvents == 0
            pause(isVerified ? Self.idleCheckpointInterval : Self.checkpointInterval)
        }
    }

    private static func currentKey(_ source: Source) -> String {
        do throws(SourceError) { return "the source shows \(try source.key())" } catch {
            return "the source shows no key (\(error))"
        }
    }

    /// What a source has lost that is behind this follower, and stays so.
    private func shrunken(
        _ note: Source.Note, since: inout ContinuousClock.Instant?
    ) -> Divergence? {
        let status = self.status
        let end = max(note.checkpoint.size, note.position ?? 0)
        guard end < status.position else {
            since = nil
            return nil
        }
        let started = since ?? .now
        since = started
        guard ContinuousClock.now - started > options.shrunkenPatience else { return nil }
        return Divergence(
            .shrunken, at: end + 1,
            "the source's log ends at position \(end), and this follower has taken in "
                + "\(status.position) events of it")
    }
}
