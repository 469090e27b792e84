import time
from tests.shipping import shipping_world
def test_t(engine, tmp_path, monkeypatch):
    monkeypatch.setenv("SYNC_CONFIG", str(tmp_path / "sync.toml"))
    t=time.time(); ship=shipping_world(engine,tmp_path); print("world",time.time()-t)
    for i in range(3):
        t=time.time(); r=ship.place(lines={"TEA":2,"MUG":1}); print("place",time.time()-t)
    for i in range(4):
        t=time.time(); ship.run(); print("run",time.time()-t)
    t=time.time(); ship.shop_run(); print("shop_run",time.time()-t)
    t=time.time(); ship.shop_run(); print("shop_run",time.time()-t)
    for s in ship.steps:
        t=time.time(); s(); print(s.__name__,time.time()-t)
