import EventLog
import HTTPAPI
import Logging
import Projections
import Replication
import Secrets
import ServiceLifecycle
import Synchronization
import Telemetry
import Webhooks

/// What a follower does besides following: it keeps projections, and delivers webhooks where it was
/// asked to. Neither begins before most of the backlog is taken in: they would only slow it down.
final class FollowerDuties: Service {
    private let log: EventLog
    private let follower: Follower
    private let conninfo: String
    private let secrets: SecretBox?
    private let metrics: LedgerMetrics
    private let logger: Logger
    private let projector: Mutex<Projector?> = Mutex(nil)
    /// Where the API finds the dispatcher.
    let dispatchers = Dispatchers()

    private static let retryDelay = Duration.seconds(1)

    /// - Parameter secrets: of webhooks; nil delivers none.
    init(
        log: EventLog, follower: Follower, conninfo: String, secrets: SecretBox?,
        metrics: LedgerMetrics, logger: Logger
    ) {
        self.log = log
        self.follower = follower
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
        let beginning = Task { await self.beginWhenLevel() }
        // Ends with the shutdown, which is no error.
        try? await gracefulShutdown()
        beginning.cancel()
        follower.stop()
        await beginning.value
        await dispatchers.replace(with: nil)?.stop()
        let ended = projector.withLock { current in
            defer { current = nil }
            return current
        }
        ended?.stop()
    }

    private func beginWhenLevel() async {
        // A source that is away leaves time for what is here.
        await follower.wait { ![.connecting, .catchingUp].contains($0.state) }
        while !Task.isCancelled {
            do { return try await begin() } catch {
                logger.error("could not begin", metadata: ["error": "\(error)"])
                try? await Task.sleep(for: Self.retryDelay)
            }
        }
    }

    private func begin() async throws {
        if projector.withLock({ $0 == nil }) {
            let started = try Projector.start(conninfo: conninfo, metrics: metrics, logger: logger)
            projector.withLock { $0 = started }
        }
        guard let secrets, dispatchers.current == nil else { return }
        dispatchers.replace(
            with: try await Dispatcher.start(
                log: log, conninfo: conninfo, secrets: secrets, metrics: metrics, logger: logger))
    }
}

/// Signs of life on idle feeds.
struct FollowerUpkeep: Service {
    let log: EventLog

    private static let heartbeat = Duration.seconds(10)

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while true {
                do { try await Task.sleep(for: Self.heartbeat) } catch { return }
                log.view.wakeWaiters()
            }
        }
    }
}

/// Tells the log as soon as the server is to stop, and ends it when the follower follows no more.
struct FollowerFarewell: Service {
    let log: EventLog
    let follower: Follower

    func run() async throws {
        let (endings, told) = AsyncStream.makeStream(of: Follower.Ending.self)
        follower.onEnding { ending in told.yield(ending) }
        for await ending in endings.cancelOnGracefulShutdown() {
            throw Self.failure(ending)
        }
        log.beginStopping()
    }

    private static func failure(_ ending: Follower.Ending) -> CommandFailure {
        switch ending {
        case .promoted:
            CommandFailure(
                message: "this database was promoted: it is a ledger of its own now",
                details: ["Serve it: ledger serve, with the same --data-dir or --database"])
        case .fenced(let reason): CommandFailure(message: "this follower was overtaken: \(reason)")
        }
    }
}
