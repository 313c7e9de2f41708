import Domain
import EventLog
import Hummingbird
import JSON

/// What operators and probes ask.
extension API {
    func addOperationRoutes(to router: Router<APIContext>) {
        router.get("/healthz") { request, context in
            do { try await log.reader.ping() } catch {
                throw HTTPProblem.unavailable(
                    "database-unavailable", "The database does not answer", "\(error)")
            }
            return Response(json: json { $0.status("ok") })
        }
        router.get("/readyz") { request, context in
            let status = log.sequencer.status
            // A follower whose source is away still serves what it holds.
            guard let role = follower == nil ? status.role : self.role, !log.view.isClosing else {
                throw HTTPProblem.unavailable(
                    "not-ready", "This node can't serve everything now",
                    "The sequencer is \(status).")
            }
            return Response(
                json: json { writer in
                    writer.status("ready")
                    writer.key("role")
                    writer.string(role)
                    writer.key("position")
                    writer.integer(log.view.position)
                    if role != "leader", let leader = log.view.leader {
                        writer.key("leader")
                        writer.string(leader)
                    }
                })
        }
        router.get("/metrics") { request, context in
            _ = try authorize(request, .reader)
            metrics.queueDepth.set(Double(log.sequencer.queueDepth))
            // Their figures are then of now.
            _ = await dispatcher?.status()
            return Response(bytes: Array(metrics.registry.render().utf8), type: .prometheus)
        }
        router.get("/v1/log") { request, context in
            _ = try authorize(request, .reader)
            let head = try await log.reader.pool.run { try Head.read($0) }
            return Response(
                json: json { writer in
                    writer.key("position")
                    writer.integer(head.position)
                    writer.key("epoch")
                    writer.integer(head.epoch)
                    writer.key("recordedAt")
                    writer.string(head.recordedAt.description)
                    writer.key("root")
                    writer.string(head.frontier.root.description)
                })
        }
    }
}

extension JSONWriter {
    fileprivate mutating func status(_ text: String) {
        key("status")
        string(text)
    }
}

extension Sequencer.Status {
    /// What the node does, while it does it without trouble.
    fileprivate var role: String? {
        switch self {
        case .leading: "leader"
        case .standby(trouble: nil): "standby"
        case .standby, .reconnecting, .fenced, .stopped: nil
        }
    }
}
