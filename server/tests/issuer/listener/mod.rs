mod bodies;
mod crowd;
mod hosts;
mod http1;
mod http2;
mod limits;
