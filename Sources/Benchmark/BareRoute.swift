import ArgumentParser
import Domain
import Hummingbird
import HummingbirdCore
import Logging

/// The reference for requests: a Hummingbird server configured as the ledger's is, with one route
/// that reads the body and answers a fixed number of bytes.
struct BareRoute: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bare-route", abstract: "Serve the reference route.", shouldDisplay: false)

    /// A running one.
    struct Process {
        let child: Child
        let url: String

        func stop() { child.stop() }
    }

    static let announcement = "listening on port "

    @Option(help: "Bytes of every answer.")
    var answerBytes: Int

    func run() async throws {
        let answer = ByteBuffer(repeating: UInt8(ascii: "x"), count: answerBytes)
        let router = Router()
        for path in ["/v1/experiments/:id/assignments", "/v1/selections"] {
            router.post(RouterPath(path)) { request, _ in
                _ = try await request.body.collect(upTo: Limits.requestBodyBytesMax)
                return Response(
                    status: .ok, headers: [.contentType: "application/json"],
                    body: ResponseBody(byteBuffer: answer))
            }
        }
        let limits = HTTP1Channel.Configuration.DecoderConfiguration(
            maxHeaderFieldSize: Limits.requestHeaderBytesMax,
            maxHeaderListSize: Limits.requestHeaderBytesMax, maxHeaderFieldCount: 100)
        var configuration = ApplicationConfiguration(
            address: .hostname("127.0.0.1", port: 0), serverName: "ledger", backlog: 1024)
        configuration.availableConnectionsDelegate = MaximumAvailableConnections(
            Limits.connectionsMax)
        let server = Application(
            router: router,
            server: .http1(configuration: .init(httpDecoderConfiguration: limits)),
            configuration: configuration,
            onServerRunning: { channel in
                Progress.say("\(Self.announcement)\(channel.localAddress?.port ?? 0)")
            }, logger: Logger(label: "bare"))
        try await server.runService()
    }
}
