mod bodies;
mod crowd;
mod flood;
mod framing;
mod hosts;
mod http1;
mod http2;
mod limits;
