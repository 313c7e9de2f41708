import ArgumentParser
import Domain
import Glibc
import Hummingbird
import HummingbirdCore
import JSON
import Logging
import NIOCore
import Synchronization

/// Where webhooks are delivered to: it reads each body, counts it and answers 204; what is posted
/// to `/never…` is not answered.
///
/// Delays are taken of what is posted to `/delay…`: from the time an event was recorded at, which
/// its line says, to the time its delivery was read.
struct Sink: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sink", abstract: "Receive webhooks.", shouldDisplay: false)

    /// A running one.
    struct Process {
        let child: Child
        let url: String

        func stop() { child.stop() }
    }

    /// What has arrived since the sink was last asked to forget.
    struct Arrivals: Sendable {
        var requests = 0
        /// Seconds, of events that were posted to `/delay…`.
        var delays: [Double] = []
    }

    func run() async throws {
        let limits = HTTP1Channel.Configuration.DecoderConfiguration(
            maxHeaderFieldSize: Limits.requestHeaderBytesMax,
            maxHeaderListSize: Limits.requestHeaderBytesMax, maxHeaderFieldCount: 100)
        var configuration = ApplicationConfiguration(
            address: .hostname("127.0.0.1", port: 0), serverName: "sink", backlog: 4096)
        configuration.availableConnectionsDelegate = MaximumAvailableConnections(16_384)
        let server = Application(
            responder: SinkResponder(),
            server: .http1(configuration: .init(httpDecoderConfiguration: limits)),
            configuration: configuration,
            onServerRunning: { channel in
                Progress.say("\(BareRoute.announcement)\(channel.localAddress?.port ?? 0)")
            }, logger: Logger(label: "sink"))
        try await server.runService()
    }
}

private struct SinkResponder: HTTPResponder {
    typealias Context = BasicRequestContext

    private final class Counts: Sendable {
        let requests = Atomic<Int>(0)
        let delays = Mutex<[Double]>([])
    }

    private let counts = Counts()

    func respond(to request: Request, context: Context) async throws -> Response {
        let path = request.uri.path
        if path == "/arrivals" { return arrivals(forgets: request.method == .delete) }
        let body = try await request.body.collect(upTo: 16 << 20)
        if path.hasPrefix("/never") {
            // Until the other side gives up: that ends the task.
            while true { try await Task.sleep(for: .seconds(3_600)) }
        }
        if path.hasPrefix("/delay") { noteDelay(body) }
        counts.requests.add(1, ordering: .relaxed)
        return Response(status: .noContent)
    }

    private func arrivals(forgets: Bool) -> Response {
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("requests")
        writer.integer(counts.requests.load(ordering: .relaxed))
        writer.key("delays")
        writer.beginArray()
        for delay in counts.delays.withLock({ $0 }) { writer.number(delay) }
        writer.endArray()
        writer.endObject()
        if forgets {
            counts.requests.store(0, ordering: .relaxed)
            counts.delays.withLock { $0 = [] }
        }
        return Response(
            status: .ok, body: ResponseBody(byteBuffer: ByteBuffer(bytes: writer.bytes)))
    }

    private static let timeKey = Array(#""recordedAt":""#.utf8)

    /// The body is one event as Standard Webhooks has it.
    private func noteDelay(_ body: ByteBuffer) {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let microseconds = Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1_000
        guard let key = body.readableBytesView.firstRange(of: Self.timeKey) else { return }
        let text = body.readableBytesView[key.upperBound...].prefix(27)
        guard let time = Timestamp(String(decoding: text, as: UTF8.self)) else { return }
        let delay = Double(microseconds - time.microseconds) / 1e6
        counts.delays.withLock { $0.append(delay) }
    }
}
