import EventLog
import HTTPAPI
import Logging
import Projections
import Secrets
import ServiceLifecycle
import Synchronization
import Telemetry
import Webhooks

/// What only the node that leads does: it keeps the projections and delivers webhooks, from the
/// moment it leads until another does.
final class LeaderDuties: Service {
    private let log: EventLog
    private let conninfo: String
    private let secrets: SecretBox
    private let metrics: LedgerMetrics
    private let logger: Logger
    private let projector: Mutex<Projector?> = Mutex(nil)
    /// Where the API finds the dispatcher.
    let dispatchers = Dispatchers()

    private static let retryDelay = Duration.seconds(1)

    init(
        log: EventLog, conninfo: String, secrets: SecretBox, metrics: LedgerMetrics,
        logger: Logger
    ) {
        self.log = log
        self.conninfo = conninfo
        self.secrets = secrets
        self.metrics = metrics
        self.logger = logger
        log.view.onCommit { [weak self] in self?.wake() }
    }

    private func wake() {
        projector.withLock { $0 }?.wake()
        dispatchers.current?.wake()
    }

    func run() async throws {
        let (changes, told) = AsyncStream.makeStream(
            of: Bool.self, bufferingPolicy: .bufferingNewest(1))
        log.sequencer.onChange { told.yield($0.isLeading) }
        told.yield(log.isLeading)
        for await _ in changes.cancelOnGracefulShutdown() {
            while log.isLeading, dispatchers.current == nil {
                do { try await begin() } catch {
                    logger.error("could not take over", metadata: ["error": "\(error)"])
                    await end()
                    try? await Task.sleep(for: Self.retryDelay)
                }
            }
            if !log.isLeading { await end() }
        }
        await end()
    }

    /// Takes the duties up; throws where the database can't be reached.
    func begin() async throws {
        if projector.withLock({ $0 == nil }) {
            let started = try Projector.start(conninfo: conninfo, metrics: metrics, logger: logger)
            projector.withLock { $0 = started }
        }
        if dispatchers.current == nil {
            dispatchers.replace(
                with: try await Dispatcher.start(
                    log: log, conninfo: conninfo, secrets: secrets, metrics: metrics,
                    logger: logger))
        }
    }

    private func end() async {
        await dispatchers.replace(with: nil)?.stop()
        let ended = projector.withLock { current in
            defer { current = nil }
            return current
        }
        ended?.stop()
    }
}
