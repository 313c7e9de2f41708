import Domain
import HTTPTypes
import Hummingbird
import NIOCore
import NIOHTTPTypes

/// Closes connections whose client takes too long to send a request or to read an answer, or does
/// neither.
///
/// A slow client is one that has not sent the whole of its request by a fixed time after its
/// start; trickling bytes does not help it.
final class ReceiveDeadline: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    /// When the client has to have done its part; nil while the server works on an answer.
    private var deadline: NIODeadline?
    /// Requests received and not yet answered.
    private var outstanding = 0
    private var check: RepeatedTask?

    private static let checkInterval = TimeAmount.seconds(5)
    private static let idle = TimeAmount.seconds(Int64(Limits.connectionIdleSecondsMax))
    private static let receive = TimeAmount.seconds(Int64(Limits.requestReceiveSecondsMax))

    func handlerAdded(context: ChannelHandlerContext) {
        deadline = .now() + Self.receive
        let channel = context.channel
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        check = context.eventLoop.scheduleRepeatedTask(
            initialDelay: Self.checkInterval, delay: Self.checkInterval
        ) { _ in
            guard let deadline = bound.value.deadline, deadline < .now() else { return }
            channel.close(promise: nil)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) { check?.cancel() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head: deadline = .now() + Self.receive
        case .body: break
        case .end:
            outstanding += 1
            deadline = nil
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .end = unwrapOutboundIn(data) {
            outstanding -= 1
            if outstanding == 0 { deadline = .now() + Self.idle }
        }
        context.write(data, promise: promise)
    }

    /// A full buffer means a client that does not read.
    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if !context.channel.isWritable {
            deadline = .now() + Self.receive
        } else if outstanding > 0 {
            deadline = nil
        }
        context.fireChannelWritabilityChanged()
    }
}
