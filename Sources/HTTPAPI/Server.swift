import Domain
import Hummingbird
import HummingbirdCore
import Logging

extension API {
    /// The server, as a service that listens on an address.
    package func application(
        host: String, port: Int, onRunning: @escaping @Sendable (Int) async -> Void
    ) -> some ApplicationProtocol {
        let limits = HTTP1Channel.Configuration.DecoderConfiguration(
            maxHeaderFieldSize: Limits.requestHeaderBytesMax,
            maxHeaderListSize: Limits.requestHeaderBytesMax, maxHeaderFieldCount: 100)
        var configuration = ApplicationConfiguration(
            address: .hostname(host, port: port), serverName: "ledger", backlog: 1024)
        configuration.availableConnectionsDelegate = MaximumAvailableConnections(
            Limits.connectionsMax)
        return Application(
            responder: responder(),
            server: .http1(
                configuration: .init(
                    additionalChannelHandlers: [ReceiveDeadline()],
                    httpDecoderConfiguration: limits)),
            configuration: configuration,
            onServerRunning: { channel in await onRunning(channel.localAddress?.port ?? port) },
            logger: logger)
    }
}
