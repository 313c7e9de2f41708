import EventLog
import Logging
import ServiceLifecycle

/// The services of a server, run together until the process is told to stop or one of them fails.
enum ServerServices {
    static func run(
        _ services: [ServiceGroupConfiguration.ServiceConfiguration], logger: Logger
    ) async throws {
        // The last is told first that it is time to stop.
        var configuration = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        configuration.maximumGracefulShutdownDuration = .seconds(20)
        try await ServiceGroup(configuration: configuration).run()
    }
}

/// Tells the log as soon as the server is to stop.
struct Farewell: Service {
    let log: EventLog
    /// Whether the server stops when another writes to its database.
    let endsWhenFenced: Bool

    private static let interval = Duration.seconds(1)

    func run() async throws {
        try await cancelWhenGracefulShutdown {
            while true {
                // Ends with the shutdown, which is no error.
                do { try await Task.sleep(for: Self.interval) } catch { return }
                if endsWhenFenced, case .fenced(let reason) = log.sequencer.status {
                    throw CommandFailure(message: "this node may write no more: \(reason)")
                }
            }
        }
        log.beginStopping()
    }
}

/// What has to be done now and then.
struct Upkeep: Service {
    let log: EventLog
    let logger: Logger

    /// Between two signs of life on idle feeds.
    private static let heartbeat = Duration.seconds(10)
    private static let heartbeatsPerHour = 360

    func run() async throws {
        await cancelWhenGracefulShutdown {
            for beat in 0... {
                if beat % Self.heartbeatsPerHour == 0 { await forgetOldAnswers() }
                await completeErasures()
                do { try await Task.sleep(for: Self.heartbeat) } catch { return }
                log.view.wakeWaiters()
            }
        }
    }

    private func completeErasures() async {
        do {
            let count = try await log.completeErasures()
            if count > 0 {
                logger.notice("completed erasures", metadata: ["subjects": "\(count)"])
            }
        } catch {
            logger.error("could not complete an erasure", metadata: ["error": "\(error)"])
        }
    }

    private func forgetOldAnswers() async {
        do { try await log.forgetOldAnswers() } catch {
            logger.warning("could not forget old answers", metadata: ["error": "\(error)"])
        }
    }
}
